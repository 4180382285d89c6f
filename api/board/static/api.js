// Requests to the API: the key, safe repetition, and waiting as long as Retry-After requires.

const MERGE_PATCH = "application/merge-patch+json";
const JSON_TYPE = "application/json";
// Responses that say when to try again, and how often the board does.
const TRY_AGAIN = new Set([429, 503]);
const ATTEMPTS = 3;
const MAX_WAIT_SECONDS = 30;

/** A response with a problem document. */
export class Failure extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail || problem.title || `The server returned ${status}.`);
    this.status = status;
    this.problem = problem;
    // In seconds; 0 if the response has none.
    this.retryAfter = retryAfter;
  }
}

/** There was no response. */
export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached.");
  }
}

/** Wait; an aborted signal ends that. */
export function sleep(seconds, signal = undefined) {
  if (signal?.aborted) return undefined;
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, seconds * 1000);
    signal?.addEventListener("abort", end);
  });
}

/** Return a new idempotency key; crypto.randomUUID exists only over HTTPS. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Api {
  /** `onWait` is told the seconds before a request is repeated. */
  constructor(session, onWait) {
    this.session = session;
    this.onWait = onWait;
  }

  /** Read one page of a list. */
  async list(path, parameters) {
    return contentOf(await this.#send("GET", `${path}?${parameters}`));
  }

  /** Read what changed since a token; without one, get one. */
  async changes(token = null) {
    const parameters = new URLSearchParams(token ? { token, limit: "100" } : {});
    return contentOf(await this.#send("GET", `v1/changes?${parameters}`));
  }

  /** Open the stream of what changes since a token, in one attempt. */
  stream(token, signal) {
    const headers = { "Last-Event-ID": token };
    return this.#send("GET", "v1/changes/stream", { headers, signal, attempts: 1 });
  }

  async read(id) {
    return contentOf(await this.#send("GET", `v1/tasks/${id}`));
  }

  async create(task, key) {
    return contentOf(await this.#write("POST", "v1/tasks", JSON_TYPE, task, key));
  }

  async change(id, etag, patch, key) {
    const condition = { "If-Match": etag };
    const url = `v1/tasks/${id}`;
    return contentOf(await this.#write("PATCH", url, MERGE_PATCH, patch, key, condition));
  }

  async delete(id, etag) {
    await this.#send("DELETE", `v1/tasks/${id}`, { headers: { "If-Match": etag } });
  }

  async comment(taskId, text, key) {
    const url = `v1/tasks/${taskId}/comments`;
    return contentOf(await this.#write("POST", url, JSON_TYPE, { text }, key));
  }

  async deleteComment({ id, task_id: taskId, etag }) {
    const url = `v1/tasks/${taskId}/comments/${id}`;
    await this.#send("DELETE", url, { headers: { "If-Match": etag } });
  }

  /** Restore a deleted task; safe to repeat. */
  async restore(id) {
    return contentOf(await this.#send("POST", `v1/tasks/${id}/restore`));
  }

  async bulk(items, key) {
    const response = await this.#write("POST", "v1/tasks/bulk", JSON_TYPE, { items }, key);
    return (await contentOf(response)).results;
  }

  // The idempotency key makes a repetition after a lost response harmless.
  #write(method, url, type, body, key, headers = {}) {
    const own = { "Content-Type": type, "Idempotency-Key": key };
    return this.#send(method, url, { headers: { ...headers, ...own }, body: JSON.stringify(body) });
  }

  async #send(method, url, { headers = {}, body, signal, attempts = ATTEMPTS } = {}) {
    const { key } = this.session;
    if (key) headers = { ...headers, Authorization: `Bearer ${key}` };
    for (let attempt = 1; ; attempt++) {
      const response = await reach(url, { method, headers, body, signal, cache: "no-store" });
      if (response.ok) return response;
      if (!TRY_AGAIN.has(response.status) || attempt === attempts) throw await failure(response);
      const seconds = retryAfter(response) || attempt;
      await this.#wait(Math.min(seconds, MAX_WAIT_SECONDS), response.status);
    }
  }

  async #wait(seconds, status) {
    this.onWait(seconds, status);
    await sleep(seconds);
    this.onWait(0, status);
  }
}

async function reach(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new Unreachable();
  }
}

/** Return what a response holds; one that was cut off is none. */
async function contentOf(response) {
  try {
    return await response.json();
  } catch {
    throw new Unreachable();
  }
}

// A proxy may send a date instead of seconds.
const retryAfter = (response) => Number(response.headers.get("Retry-After")) || 0;

async function failure(response) {
  const problem = await response.json().catch(() => ({}));
  return new Failure(response.status, problem, retryAfter(response));
}
