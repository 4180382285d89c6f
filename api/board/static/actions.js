// What people do to tasks. Each action writes to the API first, then notes the result in the store.

import { newKey } from "./api.js";
import { runBulk } from "./bulk.js";
import { confirms } from "./confirm.js";
import { keepsMine } from "./conflict.js";
import { difference, isSameTask, reverse, STATUS_NAMES, steps } from "./model.js";
import { hideToast, showToast } from "./notices.js";
import { restoreAll, restoredText } from "./trash.js";

export class Actions {
  // Takes the last change back; null if nothing can be taken back.
  #undo = null;

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
    this.#done(`Created “${task.title}”.`);
    return task;
  }

  /** Change a task, and offer to undo it. */
  async change(task, fields, text) {
    const patch = difference(task, fields);
    if (Object.keys(patch).length === 0) return;
    const changed = await this.#apply(task, patch);
    if (!changed) return;
    this.#done(text, () => this.#reverse([{ task: changed, patch: reverse(task, patch) }]));
  }

  async move(task, status) {
    const text = `Moved “${task.title}” to ${STATUS_NAMES[status]}.`;
    return this.#guarded(() => this.change(task, { status }, text), task);
  }

  async delete(task) {
    return this.#guarded(async () => {
      await this.#delete(task);
      this.store.gone(task.id);
      this.#done(`Deleted “${task.title}”.`, () => this.#restore([task]));
      return true;
    }, task);
  }

  /** Change many tasks; a patch may have labels_add and labels_remove. */
  async changeMany(tasks, patch, text) {
    return this.#guarded(async () => {
      const changes = tasks.map((task) => ({ task, patch }));
      const { done, problems } = await runBulk(this.api, this.store, changes);
      const undo = done.length > 0 ? () => this.#reverse(done) : null;
      this.#done(withProblems(text(done.length), problems), undo);
      return problems.length === 0;
    });
  }

  async deleteMany(tasks) {
    if (tasks.length === 1) return this.delete(tasks[0]);
    const action = `Delete ${tasks.length} tasks`;
    if (!(await confirms(`${action}?`, action))) return false;
    return this.#guarded(async () => {
      const changes = tasks.map((task) => ({ task, patch: null }));
      const { done, problems } = await runBulk(this.api, this.store, changes);
      const deleted = done.map(({ task }) => task);
      const undo = deleted.length > 0 ? () => this.#restore(deleted) : null;
      this.#done(withProblems(`Deleted ${deleted.length} tasks.`, problems), undo);
      return problems.length === 0;
    });
  }

  /** Take the last change back. */
  async undo() {
    const undo = this.#undo;
    this.#undo = null;
    if (undo) await this.#guarded(undo);
  }

  /** Forget the last change, as for another key. */
  forget() {
    this.#undo = null;
    hideToast();
  }

  /** Make changes, { task, patch } each, of tasks as they were after the last change. */
  async #reverse(changes) {
    if (changes.length === 1) {
      // A change by another since then is a conflict.
      const [{ task, patch }] = changes;
      const changed = await this.#apply(task, patch);
      if (changed) showToast(`Undone: “${changed.title}” is as it was.`);
      return;
    }
    const current = changes.map(({ task, patch }) => ({ task: this.#commented(task), patch }));
    const { done, problems } = await runBulk(this.api, this.store, current);
    showToast(withProblems(`Undone for ${done.length} tasks.`, problems));
  }

  /** Restore tasks; undo goes on with those that were left by a failure. */
  async #restore(deleted) {
    const outcome = await restoreAll(this.api, this.store, deleted);
    const { left, failure } = outcome;
    this.#done(restoredText(outcome), left.length > 0 ? () => this.#restore(left) : null);
    if (failure) this.onFailure(failure, { isShown: true });
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
    const theirs = await this.#reread(base);
    const isMade = isSameTask(base, theirs) || (await keepsMine(base, patch, theirs));
    return isMade ? this.#apply(theirs, patch) : null;
  }

  async #delete(task) {
    try {
      await this.api.delete(task.id, task.etag);
    } catch (failure) {
      if (failure.status !== 412) throw failure;
      const theirs = await this.#reread(task);
      if (!isSameTask(task, theirs)) {
        failure.message = `“${theirs.title}” has changed elsewhere, and was not deleted.`;
        throw failure;
      }
      await this.#delete(theirs);
    }
  }

  async #reread(task) {
    const theirs = await this.api.read(task.id);
    this.store.wrote(theirs);
    return theirs;
  }

  /** Return a task with the comments that it has got since, if nothing else has changed. */
  #commented(task) {
    const known = this.store.get(task.id);
    return known && isSameTask(task, known) ? known : task;
  }

  /** Show what was done, and how to take it back, if that is possible. */
  #done(text, undo = null) {
    this.#undo = undo;
    showToast(text, undo && (() => this.undo()));
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
