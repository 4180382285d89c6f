// One task as a card. Its elements stay while the task changes, so that focus stays, too.

import { dueMark } from "./dates.js";
import { el } from "./dom.js";
import { isClosed, PRIORITY_NAMES } from "./model.js";

const MAX_LABELS = 3;

export class Card {
  #shown = "";

  constructor(task) {
    this.id = task.id;
    this.box = el("input", { type: "checkbox", class: "select" });
    this.title = el("button", { type: "button", class: "title", "aria-describedby": "keys-hint" });
    this.meta = el("div", { class: "meta" });
    this.node = el(
      "li",
      { class: "card", "data-id": task.id },
      el("label", { class: "box" }, this.box),
      this.title,
      this.meta,
    );
  }

  /** Show a task's state, if it differs from what is shown. */
  update(task, { isSelected, isPending, hasDraft, isReadOnly }) {
    const due = dueMark(task, isClosed(task.status));
    const state = `${task.etag} ${task.status} ${task.title} ${due?.text} ${hasDraft}`;
    this.box.checked = isSelected;
    this.box.parentElement.hidden = isReadOnly;
    this.node.draggable = !isReadOnly;
    this.node.classList.toggle("selected", isSelected);
    this.node.classList.toggle("pending", isPending);
    if (state === this.#shown && !isPending) return;
    this.#shown = isPending ? "" : state;
    this.title.textContent = task.title;
    this.box.setAttribute("aria-label", `Select ${task.title}`);
    this.node.classList.toggle("closed", isClosed(task.status));
    this.meta.replaceChildren(...metaOf(task, due, hasDraft));
  }
}

function metaOf(task, due, hasDraft) {
  const more = task.labels.length - MAX_LABELS;
  return [
    task.priority === "none"
      ? null
      : el("span", { class: `mark ${task.priority}` }, PRIORITY_NAMES[task.priority]),
    due && el("span", { class: `due ${due.kind}` }, due.text),
    task.project && el("span", { class: "project" }, task.project),
    ...task.labels.slice(0, MAX_LABELS).map((label) => el("span", { class: "label" }, label)),
    more > 0 ? el("span", { class: "label" }, `+${more}`) : null,
    task.comment_count > 0 && comments(task.comment_count),
    hasDraft && el("span", { class: "mark medium" }, "Comment not sent"),
    task.assignee && assignee(task.assignee),
  ].filter(Boolean);
}

function assignee(name) {
  const words = name.split(/\s+/);
  const letters = words.length > 1 ? words.map((word) => [...word][0]) : [...words[0]];
  return sign("assignee", letters.slice(0, 2).join(""), name, `Assigned to ${name}`);
}

function comments(count) {
  const text = count === 1 ? "1 comment" : `${count} comments`;
  return sign("comments", count, text, text);
}

/** Make a short sign, with what it means for the mouse and for screen readers. */
function sign(kind, short, title, meaning) {
  return el(
    "span",
    { class: kind, title },
    el("span", { "aria-hidden": "true" }, short),
    el("span", { class: "hidden-text" }, meaning),
  );
}
