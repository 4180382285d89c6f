// Requests to the API: the key, conditional reads, safe repetition, and waiting where it asks to.

const MERGE_PATCH = "application/merge-patch+json";
const JSON_TYPE = "application/json";
// Responses that say when to try again, and how often the board does.
const TRY_AGAIN = new Set([429, 503]);
const ATTEMPTS = 3;
const MAX_WAIT_SECONDS = 30;

/** A response with a problem document. */
export class Failure extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server returned ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

/** There was no response. */
export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached.");
  }
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Return a new idempotency key; crypto.randomUUID exists only over HTTPS. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Api {
  // Bodies of lists by URL, with their ETags; those of the last round are kept.
  #known = new Map();
  #used = new Map();

  /** `onWait` is told the seconds before a request is repeated. */
  constructor(session, onWait) {
    this.session = session;
    this.onWait = onWait;
  }

  /** Read one page of a list, or confirm by its ETag that it has not changed. */
  async list(path, parameters) {
    const url = `${path}?${parameters}`;
    const known = this.#known.get(url) ?? this.#used.get(url);
    const response = await this.#send("GET", url, known && { "If-None-Match": known.etag });
    const body = response.status === 304 ? known.body : await response.json();
    const etag = response.headers.get("ETag");
    if (etag) this.#used.set(url, { etag, body });
    return body;
  }

  /** Forget the pages that were not read since the last call. */
  endRound() {
    this.#known = this.#used;
    this.#used = new Map();
  }

  async read(id) {
    return (await this.#send("GET", `v1/tasks/${id}`)).json();
  }

  async create(task, key) {
    return (await this.#write("POST", "v1/tasks", JSON_TYPE, task, key)).json();
  }

  async change(id, etag, patch, key) {
    const headers = { "If-Match": etag };
    return (await this.#write("PATCH", `v1/tasks/${id}`, MERGE_PATCH, patch, key, headers)).json();
  }

  async delete(id, etag) {
    await this.#send("DELETE", `v1/tasks/${id}`, { "If-Match": etag });
  }

  async bulk(items, key) {
    const response = await this.#write("POST", "v1/tasks/bulk", JSON_TYPE, { items }, key);
    return (await response.json()).results;
  }

  // The idempotency key makes a repetition after a lost response harmless.
  #write(method, url, type, body, key, headers = {}) {
    const own = { "Content-Type": type, "Idempotency-Key": key };
    return this.#send(method, url, { ...headers, ...own }, JSON.stringify(body));
  }

  async #send(method, url, headers = {}, body = undefined) {
    const { key } = this.session;
    if (key) headers = { ...headers, Authorization: `Bearer ${key}` };
    for (let attempt = 1; ; attempt++) {
      const response = await reach(url, { method, headers, body, cache: "no-store" });
      if (response.ok || response.status === 304) return response;
      if (!TRY_AGAIN.has(response.status) || attempt === ATTEMPTS) throw await failure(response);
      const seconds = Number(response.headers.get("Retry-After")) || attempt;
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

async function failure(response) {
  const problem = await response.json().catch(() => ({}));
  return new Failure(response.status, problem);
}
