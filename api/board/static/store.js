// The tasks on the board. Own writes are newer than what a list that began before them holds.

import { order, STATUSES } from "./model.js";

// How long an index of DynamoDB may lag behind a write.
const LAG_MS = 3000;

export class Store {
  #tasks = new Map();
  // Own writes by id: the task as the server returned it, or null if it was deleted.
  #own = new Map();
  // Changes by id that the server has not confirmed yet.
  #pending = new Map();
  #listeners = new Set();

  constructor() {
    this.selected = new Set();
    this.cutOff = [];
    this.hasMoreClosed = false;
    this.isLoaded = false;
    this.isReadOnly = false;
  }

  subscribe(listener) {
    this.#listeners.add(listener);
  }

  notify() {
    for (const listener of this.#listeners) listener();
  }

  /** Take over what was read, by requests that began at a time in milliseconds. */
  accept({ tasks, cutOff, hasMoreClosed }, began) {
    const merged = new Map();
    for (const task of tasks) keepNewer(merged, task);
    for (const [id, { task, at }] of this.#own) {
      if (at + LAG_MS < began) this.#own.delete(id);
      else if (task === null) merged.delete(id);
      else keepNewer(merged, task);
    }
    this.#tasks = merged;
    this.selected = new Set([...this.selected].filter((id) => merged.has(id)));
    Object.assign(this, { cutOff, hasMoreClosed, isLoaded: true });
    this.notify();
  }

  /** Forget everything, as for another key. */
  clear() {
    this.#tasks.clear();
    this.#own.clear();
    this.#pending.clear();
    this.selected.clear();
    this.cutOff = [];
    Object.assign(this, { hasMoreClosed: false, isLoaded: false, isReadOnly: false });
    this.notify();
  }

  /** Note a task as the server returned it after a write. */
  wrote(task) {
    this.#own.set(task.id, { task, at: Date.now() });
    keepNewer(this.#tasks, task);
    this.#pending.delete(task.id);
    this.notify();
  }

  /** Note that a task is gone. */
  gone(id) {
    this.#own.set(id, { task: null, at: Date.now() });
    this.#tasks.delete(id);
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

  /** Return a task as the server has it. */
  get(id) {
    return this.#tasks.get(id);
  }

  get size() {
    return this.#tasks.size;
  }

  /** Return the tasks of each column in its order, with changes that are not confirmed yet. */
  columns(sort) {
    const columns = Object.fromEntries(STATUSES.map((status) => [status, []]));
    for (const task of this.#tasks.values()) {
      const shown = { ...task, ...this.#pending.get(task.id) };
      columns[shown.status].push(shown);
    }
    for (const status of STATUSES) columns[status].sort(order(status, sort));
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

function keepNewer(tasks, task) {
  const known = tasks.get(task.id);
  if (!known || known.version < task.version) tasks.set(task.id, task);
}
