// Keeps the board up to date: reads the lists, then follows what changes. Not while the page is
// hidden or there is no key, less often while it fails, at once when the network or the person
// comes back.

import { sleep } from "./api.js";

// After the end of a stream, and between two polls where there is none.
const RECONNECT_SECONDS = 1;
const POLL_SECONDS = 10;
const MAX_SECONDS = 120;

export class Follower {
  #loop = Promise.resolve();
  #stop = new AbortController();
  #mustLoad = true;
  #isPaused = false;

  constructor(feed, refresher) {
    this.feed = feed;
    this.refresher = refresher;
    document.addEventListener("visibilitychange", () => this.#go());
    for (const name of ["online", "offline"]) window.addEventListener(name, () => this.#go());
  }

  /** Read the lists, then go on with what changed since. */
  reload() {
    this.#mustLoad = true;
    this.#go();
  }

  /** Stop until `resume`, as while there is no key. */
  pause() {
    this.#isPaused = true;
    this.#go();
  }

  resume() {
    this.#isPaused = false;
    this.feed.restart();
    this.reload();
  }

  /** Begin a round at once, when the present one has ended. */
  #go() {
    this.#stop.abort();
    if (document.hidden || this.#isPaused) return;
    this.#stop = new AbortController();
    this.#loop = this.#follow(this.#loop, this.#stop.signal);
  }

  async #follow(before, signal) {
    await before;
    for (let failures = 0; !signal.aborted; ) {
      const failure = await this.#round(signal);
      failures = failure ? failures + 1 : 0;
      await sleep(Math.max(this.#interval(failures), failure?.retryAfter ?? 0), signal);
    }
  }

  /** Read until the stream ends; return what failed. */
  async #round(signal) {
    try {
      await this.feed.begin();
      if (this.#mustLoad) await this.refresher.load(signal);
      if (signal.aborted) return null;
      this.#mustLoad = false;
      for await (const changes of this.feed.pages(signal)) {
        if (signal.aborted) return null;
        this.refresher.apply(changes);
      }
      return null;
    } catch (failure) {
      if (!signal.aborted) this.#failed(failure);
      return failure;
    }
  }

  #failed(failure) {
    if (failure.status === 410) {
      // The board was away for too long: the feed begins anew.
      this.feed.restart(failure.problem.token);
      this.#mustLoad = true;
    } else this.refresher.failed(failure, { isRead: true });
  }

  /** Return the seconds until the next round, which differ between boards of one server. */
  #interval(failures) {
    const seconds = (this.feed.isLive ? RECONNECT_SECONDS : POLL_SECONDS) * 2 ** failures;
    return Math.min(seconds, MAX_SECONDS) * (0.5 + Math.random() / 2);
  }
}
