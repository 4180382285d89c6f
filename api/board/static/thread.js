// The comments of one task. Of each, the state with the highest version is known.

import { readPages } from "./loader.js";

export class Thread {
  // By id: { version, comment }, where the comment is null if it was deleted.
  #known = new Map();
  // The same of what came since the list began to be read, which may be missing from it.
  #since = new Map();

  constructor(taskId) {
    this.taskId = taskId;
    this.isLoaded = false;
  }

  /** The comments that are there, oldest first. */
  get comments() {
    const comments = [...this.#known.values()].map(({ comment }) => comment).filter(Boolean);
    return comments.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Read all comments, page by page. */
  async load(api) {
    const since = new Map();
    this.#since = since;
    const parameters = new URLSearchParams({ limit: "100" });
    const { items } = await readPages(api, `v1/tasks/${this.taskId}/comments`, parameters);
    // A later reading knows more.
    if (since !== this.#since) return;
    this.#known = since;
    for (const comment of items) this.wrote(comment);
    this.isLoaded = true;
  }

  /** Take over what changed, of any task. */
  apply({ comments, comment_deletions: deletions }) {
    const isOwn = ({ task_id: taskId }) => taskId === this.taskId;
    for (const comment of comments.filter(isOwn)) this.wrote(comment);
    for (const { id, version } of deletions.filter(isOwn)) this.#take(id, version, null);
  }

  /** Note a comment as the server returned it. */
  wrote(comment) {
    this.#take(comment.id, comment.version, comment);
  }

  /** Note that a comment is gone. */
  gone({ id, version }) {
    this.#take(id, version + 1, null);
  }

  #take(id, version, comment) {
    for (const states of [this.#known, this.#since]) {
      if ((states.get(id)?.version ?? 0) < version) states.set(id, { version, comment });
    }
  }
}
