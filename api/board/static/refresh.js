// Brings the board up to date, and shows what stands in the way if that fails.

import { Failure, Unreachable } from "./api.js";
import { passes } from "./filters.js";
import { loadBoard, loadNames } from "./loader.js";
import { announce, showBanner, showError } from "./notices.js";

const CANNOT_READ = "This key may not read tasks: it lacks the scope tasks:read. Use another key.";
const CANNOT_WRITE = "This key can read tasks, but not change them.";

export class Refresher {
  #closedPages = 1;
  // Whether screen readers are told the number of tasks, as after a change of the filters.
  #isCounted = false;
  // Read once, because they are counted from many tasks; the board's own tasks add to them.
  #names = null;

  /** `onKeyNeeded` is told why; `onNames` gets the names in use; `comments` those in a dialog. */
  constructor(api, store, comments, { onKeyNeeded, onNames }) {
    this.api = api;
    this.store = store;
    this.comments = comments;
    this.onKeyNeeded = onKeyNeeded;
    this.onNames = onNames;
    this.isLost = false;
  }

  /** Read for these filters from now on. */
  use(filters) {
    this.filters = filters;
    this.store.passes = (task) => passes(task, filters);
    this.store.sort = filters.sort;
    this.#closedPages = 1;
    this.#isCounted = this.store.isLoaded;
  }

  showOlder() {
    this.#closedPages += 1;
  }

  /** Read the board; it is not shown after the signal was aborted. */
  async load(signal) {
    const began = Date.now();
    const board = await loadBoard(this.api, this.filters, this.#closedPages);
    if (signal.aborted) return;
    if (!this.store.isLoaded) this.#names = null;
    this.store.accept(board, began);
    this.comments.reload();
    this.#recovered();
    if (this.#isCounted) announce(`${this.store.size} tasks.`);
    this.#isCounted = false;
    this.#names ??= await loadNames(this.api);
    if (signal.aborted) return;
    this.onNames(this.store.names(this.#names));
  }

  /** Show what changed. */
  apply(changes) {
    this.#recovered();
    this.comments.apply(changes);
    if (changes.tasks.length + changes.deletions.length === 0) return;
    this.store.apply(changes);
    this.onNames(this.store.names(this.#names));
  }

  /** Show a failure of a change, or of a read; `isShown` if its text is visible already. */
  failed(failure, { isShown = false, isRead = false } = {}) {
    const isLost = failure instanceof Unreachable || failure.status >= 500;
    if (!isLost && !(failure instanceof Failure)) {
      if (!isRead) throw failure;
      // What the server sent is not what this page expects; it may be of a newer version.
      console.error(failure);
      return this.#lost("The board cannot show what the server sent. Reload the page.");
    }
    if (failure.status === 401) return this.onKeyNeeded(refusal(failure));
    if (failure.status === 403) return this.#forbidden(failure.problem.needed_scope);
    if (isLost) this.#lost(failure.message);
    else if (isRead) showBanner(`The tasks cannot be read. ${failure.message}`);
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
