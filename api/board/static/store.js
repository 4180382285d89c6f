// The tasks on the board. Of each, the state with the highest version is shown.

import { isClosed, OPEN_STATUSES, order, STATUSES } from "./model.js";

// For so long, a list or the feed may show a task as it was before a change.
const RECENT_MS = 60_000;

export class Store {
  #tasks = new Map();
  // Recent changes by id, own ones and those of the feed, the latest last: { version, task, at },
  // where the task is null if it was deleted.
  #recent = new Map();
  // Changes by id that the server has not confirmed yet.
  #pending = new Map();
  #listeners = new Set();

  constructor() {
    this.selected = new Set();
    // Returns whether a task belongs on the board.
    this.passes = () => true;
    // The order of open tasks.
    this.sort = "created";
    this.cutOff = [];
    this.maxOpen = Infinity;
    this.hasMoreClosed = false;
    this.maxClosed = 0;
    this.isLoaded = false;
    this.isReadOnly = false;
    // Whether the key was refused a comment of another.
    this.mayDeleteOwnOnly = false;
    // Comments that were not sent, by the task's id: { text, key }.
    this.drafts = new Map();
  }

  subscribe(listener) {
    this.#listeners.add(listener);
  }

  notify() {
    for (const listener of this.#listeners) listener();
  }

  /** Take over what was read, by requests that began at a time in milliseconds. */
  accept({ tasks, ...state }, began) {
    this.#forget(began);
    this.#tasks = new Map();
    for (const task of tasks) {
      if (versionOf(this.#tasks.get(task.id)) < task.version) this.#tasks.set(task.id, task);
    }
    for (const [id, { version, task }] of this.#recent) {
      if (versionOf(this.#tasks.get(id)) < version) this.#show(id, task);
    }
    Object.assign(this, { ...state, isLoaded: true });
    this.#changed();
  }

  /** Take over what changed. */
  apply({ tasks, deletions }) {
    this.#forget(Date.now());
    for (const task of tasks) this.#take(task.id, task.version, task);
    for (const { id, version } of deletions) this.#take(id, version, null);
    this.#changed();
  }

  /** Take over a change, unless a later one is known. */
  #take(id, version, task) {
    const known = Math.max(versionOf(this.#recent.get(id)), versionOf(this.#tasks.get(id)));
    if (version < known) return;
    this.#recent.delete(id);
    this.#recent.set(id, { version, task, at: Date.now() });
    this.#show(id, task);
  }

  #show(id, task) {
    if (task && this.passes(task)) this.#tasks.set(id, task);
    else this.#tasks.delete(id);
  }

  /** Forget what was not recent any more at a time. */
  #forget(time) {
    for (const [id, { at }] of this.#recent) {
      if (at + RECENT_MS >= time) return;
      this.#recent.delete(id);
    }
  }

  /** Keep as many tasks as the lists hold, the first ones of each. */
  #trim() {
    const tasks = [...this.#tasks.values()];
    for (const status of OPEN_STATUSES) {
      const own = tasks.filter((task) => task.status === status);
      const isCut = this.#cut(own, status, this.maxOpen);
      if (isCut && !this.cutOff.includes(status)) this.cutOff = [...this.cutOff, status];
    }
    const closed = tasks.filter(({ status }) => isClosed(status));
    if (this.#cut(closed, "done", this.maxClosed)) this.hasMoreClosed = true;
  }

  /** Drop the tasks behind a number of them; return whether there were any. */
  #cut(tasks, status, max) {
    if (tasks.length <= max) return false;
    const behind = tasks.sort(order(status, this.sort)).slice(max);
    for (const { id } of behind) this.#tasks.delete(id);
    return true;
  }

  #changed() {
    this.#trim();
    this.selected = new Set([...this.selected].filter((id) => this.#tasks.has(id)));
    this.notify();
  }

  /** Forget everything, as for another key. */
  clear() {
    this.#tasks.clear();
    this.#recent.clear();
    this.#pending.clear();
    this.selected.clear();
    this.cutOff = [];
    this.drafts.clear();
    Object.assign(this, { hasMoreClosed: false, isLoaded: false });
    Object.assign(this, { isReadOnly: false, mayDeleteOwnOnly: false });
    this.notify();
  }

  /** Note a task as the server returned it after a write. */
  wrote(task) {
    this.#take(task.id, task.version, task);
    this.#pending.delete(task.id);
    this.notify();
  }

  /** Note that a task is gone. */
  gone(id) {
    this.#take(id, versionOf(this.get(id)) + 1, null);
    this.#pending.delete(id);
    this.selected.delete(id);
    this.notify();
  }

  /** Show a change before the server has confirmed it; null takes it back. */
  expect(id, patch) {
    if (patch) this.#pending.set(id, patch);
    else this.#pending.delete(id);
    this.notify();
  }

  isPending(id) {
    return this.#pending.has(id);
  }

  /** Return a task as the server has it, also one that has just left the board. */
  get(id) {
    return this.#tasks.get(id) ?? this.#recent.get(id)?.task;
  }

  get size() {
    return this.#tasks.size;
  }

  /** Return the tasks of each column in its order, with changes that are not confirmed yet. */
  columns() {
    const columns = Object.fromEntries(STATUSES.map((status) => [status, []]));
    for (const task of this.#tasks.values()) {
      const shown = { ...task, ...this.#pending.get(task.id) };
      columns[shown.status].push(shown);
    }
    for (const status of STATUSES) columns[status].sort(order(status, this.sort));
    return columns;
  }

  /** Return names with those of the tasks that are here. */
  names({ projects = [], labels = [], assignees = [] }) {
    const tasks = [...this.#tasks.values()];
    const merged = (known, own) => [...new Set([...known, ...own.filter(Boolean)])];
    return {
      projects: merged(projects, tasks.map((task) => task.project)),
      labels: merged(labels, tasks.flatMap((task) => task.labels)),
      assignees: merged(assignees, tasks.map((task) => task.assignee)),
    };
  }

  select(id, isSelected) {
    if (isSelected) this.selected.add(id);
    else this.selected.delete(id);
    this.notify();
  }

  clearSelection() {
    this.selected.clear();
    this.notify();
  }
}

const versionOf = (known) => known?.version ?? 0;
