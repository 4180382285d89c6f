// What people do to tasks. Each action writes to the API first, then notes the result in the store.

import { newKey } from "./api.js";
import { runBulk } from "./bulk.js";
import { confirms } from "./confirm.js";
import { keepsMine } from "./conflict.js";
import { difference, reverse, STATUS_NAMES, steps } from "./model.js";
import { showToast } from "./notices.js";

export class Actions {
  // The last change: { id, before, etag } of each task, where `before` has the fields that changed.
  #last = [];

  /** `onFailure` shows a failure. */
  constructor(api, store, onFailure) {
    this.api = api;
    this.store = store;
    this.onFailure = onFailure;
  }

  /** Create a task. The key makes a second attempt of the same form harmless. */
  async create(fields, key) {
    const task = await this.api.create(fields, key);
    this.store.wrote(task);
    this.#last = [];
    showToast(`Created “${task.title}”.`);
    return task;
  }

  /** Change a task, and offer to undo it. */
  async change(task, fields, text) {
    const patch = difference(task, fields);
    if (Object.keys(patch).length === 0) return;
    const changed = await this.#apply(task, patch);
    if (!changed) return;
    const { etag } = changed;
    this.#offerUndo([{ id: task.id, before: reverse(task, patch), etag }], text);
  }

  async move(task, status) {
    const text = `Moved “${task.title}” to ${STATUS_NAMES[status]}.`;
    return this.#guarded(() => this.change(task, { status }, text), task);
  }

  async delete(task) {
    const question = `Delete “${task.title}”? This cannot be undone.`;
    if (!(await confirms(question, "Delete"))) return false;
    return this.#guarded(async () => {
      await this.api.delete(task.id, task.etag);
      this.store.gone(task.id);
      this.#last = [];
      showToast(`Deleted “${task.title}”.`);
      return true;
    }, task);
  }

  /** Change many tasks; a patch may have labels_add and labels_remove. */
  async changeMany(tasks, patch, text) {
    return this.#guarded(async () => {
      const changes = tasks.map((task) => ({ task, patch }));
      const { done, problems } = await runBulk(this.api, this.store, changes);
      this.#offerUndo(done, withProblems(text(done.length), problems));
      return problems.length === 0;
    });
  }

  async deleteMany(tasks) {
    const question = `Delete ${tasks.length} tasks? This cannot be undone.`;
    if (!(await confirms(question, `Delete ${tasks.length} tasks`))) return false;
    return this.#guarded(async () => {
      const changes = tasks.map((task) => ({ task, patch: null }));
      const { done, problems } = await runBulk(this.api, this.store, changes);
      this.#last = [];
      showToast(withProblems(`Deleted ${done.length} tasks.`, problems));
      return problems.length === 0;
    });
  }

  /** Take the last change back. */
  async undo() {
    const last = this.#last;
    this.#last = [];
    const changes = last
      .filter(({ id }) => this.store.get(id))
      // With the ETag after the change: a change by another since then is a conflict.
      .map(({ id, before, etag }) => ({ task: { ...this.store.get(id), etag }, patch: before }));
    if (changes.length === 0) return;
    await this.#guarded(async () => {
      if (changes.length === 1) {
        const [{ task, patch }] = changes;
        const changed = await this.#apply(task, patch);
        if (changed) showToast(`Undone: “${changed.title}” is as it was.`);
        return;
      }
      const { done, problems } = await runBulk(this.api, this.store, changes);
      showToast(withProblems(`Undone for ${done.length} tasks.`, problems));
    });
  }

  /** Make a patch in as many requests as its moves need; return the task, or null if not made. */
  async #apply(task, patch) {
    const moves = patch.status ? steps(task.status, patch.status) : [];
    this.store.expect(task.id, patch);
    try {
      for (const status of moves.slice(0, -1)) {
        task = await this.api.change(task.id, task.etag, { status }, newKey());
      }
      const changed = await this.api.change(task.id, task.etag, patch, newKey());
      this.store.wrote(changed);
      return changed;
    } catch (failure) {
      if (failure.status === 404) this.store.gone(task.id);
      else this.store.wrote(task);
      if (failure.status !== 412) throw failure;
      return this.#resolve(task, patch);
    }
  }

  /** Show both states of a task that changed meanwhile, and make the change again if wanted. */
  async #resolve(base, patch) {
    const theirs = await this.api.read(base.id);
    this.store.wrote(theirs);
    return (await keepsMine(base, patch, theirs)) ? this.#apply(theirs, patch) : null;
  }

  #offerUndo(changes, text) {
    this.#last = changes;
    showToast(text, changes.length ? () => this.undo() : null);
  }

  async #guarded(action, task = null) {
    try {
      return await action();
    } catch (failure) {
      if (task && failure.status === 404) this.store.gone(task.id);
      this.onFailure(failure);
      return false;
    }
  }
}

function withProblems(text, problems) {
  if (problems.length === 0) return text;
  const reasons = [...new Set(problems.map((problem) => problem.title))].join(", ");
  return `${text} ${problems.length} not: ${reasons}.`;
}
