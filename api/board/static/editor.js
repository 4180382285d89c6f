// The dialog that creates and changes a task.

import { newKey } from "./api.js";
import { fromInput, toInput } from "./dates.js";
import { byId } from "./dom.js";
import { LabelField } from "./labels.js";
import { FIELD_NAMES } from "./model.js";

const NEW = {
  title: "",
  description: "",
  status: "todo",
  priority: "none",
  project: null,
  assignee: null,
  due_at: null,
  labels: [],
};

export class Editor {
  constructor(actions, comments) {
    this.actions = actions;
    this.comments = comments;
    this.dialog = byId("editor");
    this.dialog.addEventListener("close", () => comments.close());
    this.form = byId("editor-form");
    this.error = byId("editor-error");
    this.save = byId("editor-save");
    this.remove = byId("editor-delete");
    this.labels = new LabelField(byId("editor-labels"), byId("editor-label"));
    byId("editor-cancel").addEventListener("click", () => this.dialog.close());
    this.remove.addEventListener("click", () => this.#delete());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Open the dialog for a new task; the filters' names are its first values. */
  create(values, status = "todo") {
    this.task = null;
    this.#open({ ...NEW, ...values, status }, "New task", "Create", false);
  }

  /** Open the dialog for a task. Its state as of now is what the changes are compared with. */
  edit(task, isReadOnly) {
    this.task = task;
    this.#open(task, isReadOnly ? "Task" : "Edit task", "Save", isReadOnly);
  }

  #open(values, heading, save, isReadOnly) {
    // One key for all attempts of this dialog: a second one creates no second task.
    this.key = newKey();
    byId("editor-heading").textContent = heading;
    byId("editor-fields").disabled = isReadOnly;
    this.save.textContent = save;
    this.save.hidden = isReadOnly;
    this.save.disabled = false;
    this.remove.hidden = isReadOnly || this.task === null;
    this.#fail("");
    const { elements } = this.form;
    for (const name of ["title", "description", "status", "priority"]) {
      elements[name].value = values[name];
    }
    for (const name of ["project", "assignee"]) elements[name].value = values[name] ?? "";
    elements.due_at.value = toInput(values.due_at);
    this.labels.value = values.labels;
    this.comments.open(this.task);
    this.dialog.showModal();
    elements.title.focus();
  }

  #values() {
    const { elements } = this.form;
    const text = (name) => elements[name].value.trim();
    return {
      title: text("title"),
      description: elements.description.value,
      status: elements.status.value,
      priority: elements.priority.value,
      project: text("project") || null,
      assignee: text("assignee") || null,
      due_at: fromInput(elements.due_at.value, this.task?.due_at ?? null),
      labels: [...this.labels.value],
    };
  }

  async #submit() {
    if (this.save.disabled) return;
    this.save.disabled = true;
    this.#fail("");
    const values = this.#values();
    try {
      if (this.task === null) await this.actions.create(values, this.key);
      else await this.actions.change(this.task, values, `Changed “${values.title}”.`);
      this.dialog.close();
    } catch (failure) {
      this.#refused(failure);
    } finally {
      this.save.disabled = false;
    }
  }

  #refused(failure) {
    // A refused form is a different request when it is sent again.
    if (failure.status === 422) this.key = newKey();
    const [first] = failure.problem?.errors ?? [];
    const name = FIELD_NAMES[first?.field?.split("/")[0]];
    this.#fail(name ? `${name}: ${first.detail}` : failure.message);
    this.actions.onFailure(failure, { isShown: true });
  }

  async #delete() {
    if (await this.actions.delete(this.task)) this.dialog.close();
  }

  #fail(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
  }
}
