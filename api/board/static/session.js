// The API key, kept for this tab's session only: not in a cookie, not in a URL, not on disk.

// Boards below different base paths of one host are different services.
const NAME = `task-tracker.key ${location.pathname}`;

export const session = {
  get key() {
    return sessionStorage.getItem(NAME);
  },
  set key(key) {
    sessionStorage.setItem(NAME, key);
  },
  /** The id of the key, which is part of it; null without a key. */
  get keyId() {
    return this.key?.split("_")[1] ?? null;
  },
  forget() {
    sessionStorage.removeItem(NAME);
  },
};

/** Return whether a text can be sent as a key; the server decides whether it is one. */
export const looksLikeKey = (text) => /^[\x21-\x7e]{1,200}$/.test(text);
