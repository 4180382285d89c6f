// Repeats a refresh: not while the page is hidden, less often while it fails, at once when the
// network or the person comes back.

const INTERVAL_SECONDS = 10;
const MAX_INTERVAL_SECONDS = 120;

export class Poller {
  #timer = null;
  #failures = 0;
  #running = false;
  #again = false;
  #paused = false;

  /** `refresh` returns whether it succeeded. */
  constructor(refresh) {
    this.#refresh = refresh;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.stop();
      else this.now();
    });
    window.addEventListener("online", () => this.now());
  }

  #refresh;

  /** Stop until `resume`, as while there is no key. */
  pause() {
    this.#paused = true;
    this.stop();
  }

  resume() {
    this.#paused = false;
    this.now();
  }

  /** Refresh now; while a refresh is running, once more after it. */
  async now() {
    this.stop();
    if (this.#paused) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    do {
      this.#again = false;
      this.#failures = (await this.#refresh()) ? 0 : this.#failures + 1;
    } while (this.#again && !this.#paused);
    this.#running = false;
    this.#schedule();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #schedule() {
    if (document.hidden || this.#paused) return;
    const seconds = Math.min(INTERVAL_SECONDS * 2 ** this.#failures, MAX_INTERVAL_SECONDS);
    this.#timer = setTimeout(() => this.now(), seconds * 1000);
  }
}
