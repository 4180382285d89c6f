// What changed since a token: by the stream of changes, or by polling where there is none.

import { readEvents } from "./events.js";

// A Lambda function has no stream; a busy server has no slot for one more.
const NO_STREAM = new Set([404, 503]);

// In which list of a page the feed has what an event of the stream tells.
const LISTS = new Map([
  ["task", "tasks"],
  ["deletion", "deletions"],
  ["comment", "comments"],
  ["comment_deletion", "comment_deletions"],
]);
const emptyPage = () => Object.fromEntries([...LISTS.values()].map((list) => [list, []]));

export class Feed {
  #token = null;
  #hasStream = true;

  constructor(api) {
    this.api = api;
    // Whether changes come as they happen.
    this.isLive = true;
  }

  /** Begin now, unless there is a token. What is missing from lists read later is in the feed. */
  async begin() {
    this.#token ??= (await this.api.changes()).token;
  }

  /** Go on from this token; without one, begin anew. */
  restart(token = null) {
    this.#token = token;
  }

  /** Yield what changed, as pages of the feed, until the stream ends or all was polled. */
  async *pages(signal) {
    const stream = await this.#open(signal);
    this.isLive = false;
    if (stream) yield* this.#streamed(stream);
    if (!this.isLive && !signal.aborted) yield* this.#polled();
  }

  async #open(signal) {
    try {
      return this.#hasStream ? await this.api.stream(this.#token, signal) : null;
    } catch (failure) {
      if (!NO_STREAM.has(failure.status)) throw failure;
      this.#hasStream = failure.status !== 404;
      return null;
    }
  }

  async *#streamed(response) {
    let page = emptyPage();
    for await (const { name, data } of readEvents(response)) {
      page[LISTS.get(name)]?.push(data);
      if (name === "token") {
        this.isLive = true;
        yield page;
        // Not before the page was taken over.
        this.#token = data.token;
        page = emptyPage();
      }
    }
  }

  async *#polled() {
    for (let hasMore = true; hasMore; ) {
      const page = await this.api.changes(this.#token);
      yield page;
      this.#token = page.token;
      hasMore = page.has_more;
    }
  }
}
