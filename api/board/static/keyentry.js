// The dialog that asks for an API key. It stays until there is one.

import { byId } from "./dom.js";
import { looksLikeKey } from "./session.js";

const dialog = byId("key");
const form = byId("key-form");
const input = byId("key-input");
const error = byId("key-error");

// There is nothing to see without a key, so Escape does not close the dialog.
dialog.addEventListener("cancel", (event) => event.preventDefault());

/** Ask for a key, with the reason for it if one was refused, and return it. */
export function askForKey(reason = "") {
  say(reason);
  if (!dialog.open) dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (!looksLikeKey(text)) {
        say("This is not an API key: it has spaces or other characters that no key has.");
        return;
      }
      input.value = "";
      dialog.close();
      resolve(text);
    };
  });
}

function say(reason) {
  error.textContent = reason;
  error.hidden = !reason;
  input.setAttribute("aria-invalid", String(Boolean(reason)));
}
