// The comments in the dialog of a task: the list, and the field for a new one.

import { newKey } from "./api.js";
import { confirms } from "./confirm.js";
import { moment } from "./dates.js";
import { arrange, byId, el } from "./dom.js";
import { announce } from "./notices.js";
import { Thread } from "./thread.js";

export class Comments {
  // Of the task in the dialog; null if there is none.
  #thread = null;
  // By the comment's id: { state, node }. Elements stay while others change, so that focus stays.
  #nodes = new Map();

  /** `onFailure` shows a failure. */
  constructor(api, store, onFailure) {
    this.api = api;
    this.store = store;
    this.onFailure = onFailure;
    this.section = byId("comments");
    this.count = byId("comments-count");
    this.list = byId("comments-list");
    this.note = byId("comments-note");
    this.live = byId("comments-live");
    this.error = byId("comments-error");
    this.again = byId("comments-again");
    this.form = byId("comment-form");
    this.field = byId("comment-text");
    this.again.addEventListener("click", () => this.reload());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.#thread) this.#noteDraft();
      if (store.drafts.size > 0) event.preventDefault();
    });
  }

  /** Show the comments of a task; null is a new one, which has none. */
  open(task) {
    this.close();
    this.section.hidden = task === null;
    if (task === null) return;
    this.#thread = new Thread(task.id);
    this.#nodes.clear();
    this.form.hidden = this.store.isReadOnly;
    this.field.value = this.store.drafts.get(task.id)?.text ?? "";
    this.live.textContent = "";
    this.again.hidden = true;
    this.#fail("");
    this.#render();
    this.reload();
  }

  /** Leave the task. What was not sent is kept for the next time that it is opened. */
  close() {
    if (!this.#thread) return;
    const draft = this.#noteDraft();
    this.#thread = null;
    this.store.notify();
    if (draft) announce("Your comment is not sent. It is kept in the task.");
  }

  /** Read the comments as they are now. */
  async reload() {
    const thread = this.#thread;
    if (!thread) return;
    try {
      await thread.load(this.api);
    } catch (failure) {
      if (thread !== this.#thread) return;
      this.#fail(`The comments cannot be shown. ${failure.message}`);
      this.again.hidden = false;
      this.#render();
      this.onFailure(failure, { isRead: true });
      return;
    }
    if (thread !== this.#thread) return;
    if (!this.again.hidden) this.#fail("");
    if (document.activeElement === this.again) this.field.focus();
    this.again.hidden = true;
    this.#render();
  }

  /** Show what changed. */
  apply(changes) {
    if (!this.#thread) return;
    const before = new Set(this.#thread.comments.map(({ id }) => id));
    this.#thread.apply(changes);
    const added = this.#thread.comments.filter(({ id }) => !before.has(id));
    this.#render();
    if (added.length > 0) this.#say(`New comment by ${added.at(-1).created_by.label}.`);
  }

  /**
   * Note what is in the field and return it, or undefined if there is nothing.
   *
   * A text keeps its key: sent a second time, it makes no second comment.
   */
  #noteDraft() {
    const { drafts } = this.store;
    const { taskId } = this.#thread;
    const text = this.field.value.trim();
    if (!text) drafts.delete(taskId);
    else if (drafts.get(taskId)?.text !== text) drafts.set(taskId, { text, key: newKey() });
    return drafts.get(taskId);
  }

  async #send() {
    const { taskId } = this.#thread;
    const draft = this.#noteDraft();
    if (!draft || draft.isBeingSent) return;
    draft.isBeingSent = true;
    this.#fail("");
    try {
      this.#sent(draft, await this.api.comment(taskId, draft.text, draft.key));
    } catch (failure) {
      this.#refused(taskId, failure);
    } finally {
      draft.isBeingSent = false;
    }
  }

  #sent(draft, comment) {
    const { drafts } = this.store;
    if (drafts.get(comment.task_id) === draft) drafts.delete(comment.task_id);
    this.store.notify();
    if (this.#thread?.taskId !== comment.task_id) return;
    this.#thread.wrote(comment);
    this.#render();
    // What was typed meanwhile stays.
    if (this.field.value.trim() === draft.text) this.field.value = "";
    this.field.focus();
    this.#say("Comment added.");
  }

  async #delete(comment) {
    if (!(await confirms("Delete this comment? This cannot be undone.", "Delete"))) return;
    try {
      await this.api.deleteComment(comment);
    } catch (failure) {
      if (failure.status !== 404) return this.#refused(comment.task_id, failure);
    }
    if (this.#thread?.taskId !== comment.task_id) return;
    this.#thread.gone(comment);
    this.#render();
    this.#say("Comment deleted.");
  }

  #refused(taskId, failure) {
    const isShown = this.#thread?.taskId === taskId;
    const [first] = failure.problem?.errors ?? [];
    if (isShown) this.#fail(first ? `Comment: ${first.detail}` : failure.message);
    if (failure.problem?.type?.endsWith("/not-the-author")) this.store.mayDeleteOwnOnly = true;
    else this.onFailure(failure, { isShown });
    if (isShown) this.#render();
  }

  #render() {
    const { comments, isLoaded } = this.#thread;
    const focused = document.activeElement;
    arrange(this.list, comments.map((comment) => this.#nodeOf(comment)));
    this.count.textContent = isLoaded ? comments.length : "";
    this.note.textContent = isLoaded ? "No comments yet." : "Loading…";
    this.note.hidden = comments.length > 0 || !this.again.hidden;
    // A button of a comment that is gone had the focus.
    if (!focused.isConnected) this.field.focus();
  }

  #nodeOf(comment) {
    const mayDelete = this.#mayDelete(comment);
    const state = `${comment.etag} ${mayDelete}`;
    const known = this.#nodes.get(comment.id);
    if (known?.state === state) return known.node;
    const node = commentNode(comment, mayDelete ? () => this.#delete(comment) : null);
    this.#nodes.set(comment.id, { state, node });
    return node;
  }

  /** A key's scopes are not known: one that is not the author's may be an admin's. */
  #mayDelete(comment) {
    const isOwn = comment.created_by.key_id === this.api.session.keyId;
    return !this.store.isReadOnly && (isOwn || !this.store.mayDeleteOwnOnly);
  }

  /** Tell a screen reader; outside of the dialog it would not be heard. */
  #say(text) {
    announce(text, this.live);
  }

  #fail(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
  }
}

function commentNode(comment, onDelete) {
  const { label } = comment.created_by;
  const time = moment(comment.created_at);
  const isEdited = comment.updated_at !== comment.created_at;
  const name = `Delete the comment by ${label}, ${time}`;
  return el(
    "li",
    {},
    el(
      "div",
      { class: "by" },
      el("strong", {}, label),
      el("time", { datetime: comment.created_at }, time),
      isEdited ? el("span", {}, "edited") : null,
      onDelete &&
        el("button", { type: "button", class: "quiet", "aria-label": name, onclick: onDelete }, "Delete"),
    ),
    el("p", {}, comment.text),
  );
}
