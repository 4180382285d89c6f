// The bar for the selected tasks: one change for all of them.

import { byId } from "./dom.js";
import { PRIORITY_NAMES, STATUS_NAMES } from "./model.js";

const tasksOf = (count) => (count === 1 ? "1 task" : `${count} tasks`);

export class SelectionBar {
  /** `onDeleted` is called after a deletion, which takes the bar away. */
  constructor(store, actions, onDeleted) {
    this.store = store;
    this.actions = actions;
    this.onDeleted = onDeleted;
    this.form = byId("selection");
    this.count = byId("selection-count");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    for (const name of ["status", "priority"]) {
      this.form.elements[name].addEventListener("change", () => this.#apply());
    }
    byId("clear-selection").addEventListener("click", () => store.clearSelection());
    byId("delete-selected").addEventListener("click", () => this.#delete());
    store.subscribe(() => this.#render());
  }

  get tasks() {
    return [...this.store.selected].map((id) => this.store.get(id)).filter(Boolean);
  }

  /** Move the selected tasks to a column. */
  async move(status) {
    await this.#change({ status }, (n) => `Moved ${tasksOf(n)} to ${STATUS_NAMES[status]}.`);
  }

  async #apply() {
    const { status, priority, assignee, label } = this.form.elements;
    const patch = {};
    if (priority.value) patch.priority = priority.value;
    if (assignee.value.trim()) patch.assignee = assignee.value.trim();
    if (label.value.trim()) patch.labels_add = [label.value.trim()];
    const target = status.value;
    this.form.reset();
    if (target) return this.move(target);
    if (Object.keys(patch).length === 0) return undefined;
    return this.#change(patch, (n) =>
      patch.priority
        ? `Priority of ${tasksOf(n)}: ${PRIORITY_NAMES[patch.priority]}.`
        : `Changed ${tasksOf(n)}.`,
    );
  }

  async #change(patch, text) {
    const isDone = await this.actions.changeMany(this.tasks, patch, text);
    // What was refused stays selected, to be looked at.
    if (isDone) this.store.clearSelection();
  }

  async #delete() {
    if (await this.actions.deleteMany(this.tasks)) this.onDeleted();
  }

  #render() {
    const count = this.store.selected.size;
    this.form.hidden = count === 0;
    this.count.textContent = `${tasksOf(count)} selected`;
  }
}
