// Reads the board again, and shows what stands in the way if it cannot.

import { Failure, Unreachable } from "./api.js";
import { loadBoard, loadNames } from "./loader.js";
import { announce, showBanner, showError } from "./notices.js";

const CANNOT_READ = "This key may not read tasks: it lacks the scope tasks:read. Use another key.";
const CANNOT_WRITE = "This key can read tasks, but not change them.";

export class Refresher {
  // Grows with each change of the filters: what was read for earlier ones is ignored.
  #generation = 0;
  #closedPages = 1;
  // Read once, because they are counted from many tasks; the board's own tasks add to them.
  #names = {};

  /** `onKeyNeeded` is told why; `onNames` gets the names in use. */
  constructor(api, store, { onKeyNeeded, onNames }) {
    this.api = api;
    this.store = store;
    this.onKeyNeeded = onKeyNeeded;
    this.onNames = onNames;
    this.isLost = false;
  }

  /** Read for these filters from now on. */
  use(filters) {
    this.filters = filters;
    this.#generation += 1;
    this.#closedPages = 1;
  }

  showOlder() {
    this.#closedPages += 1;
  }

  /** Read the board; return whether that succeeded. */
  async run() {
    const generation = this.#generation;
    const began = Date.now();
    try {
      const board = await loadBoard(this.api, this.filters, this.#closedPages);
      if (generation !== this.#generation) return true;
      this.api.endRound();
      const isFirst = !this.store.isLoaded;
      this.store.accept(board, began);
      this.#recovered();
      if (isFirst) this.#names = await loadNames(this.api);
      this.onNames(this.store.names(this.#names));
      return true;
    } catch (failure) {
      if (generation === this.#generation) this.failed(failure, { isRead: true });
      return false;
    }
  }

  /** Show a failure of a change, or of a read; `isShown` if its text is visible already. */
  failed(failure, { isShown = false, isRead = false } = {}) {
    const isLost = failure instanceof Unreachable || failure.status >= 500;
    if (!isLost && !(failure instanceof Failure)) throw failure;
    if (failure.status === 401) return this.onKeyNeeded(refusal(failure));
    if (failure.status === 403) return this.#forbidden(failure.problem.needed_scope);
    if (isLost) this.#lost(failure.message);
    if (!isRead && !isShown) {
      showError(isLost ? `The change may not be saved. ${failure.message}` : failure.message);
    }
    return undefined;
  }

  #lost(text) {
    this.isLost = true;
    showBanner(`${text} What you see may be old. Trying again.`);
  }

  #recovered() {
    if (this.isLost) announce("The server responds again.");
    this.isLost = false;
    showBanner(this.store.isReadOnly ? CANNOT_WRITE : "");
  }

  #forbidden(scope) {
    if (scope !== "tasks:write") return this.onKeyNeeded(CANNOT_READ);
    this.store.isReadOnly = true;
    this.store.notify();
    showBanner(CANNOT_WRITE);
    return undefined;
  }
}

function refusal(failure) {
  const isMissing = failure.problem.type?.endsWith("/api-key-required");
  return isMissing ? "" : "The server refused the key: it is mistyped, expired or revoked.";
}
