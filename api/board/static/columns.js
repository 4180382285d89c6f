// The columns. A column begins with few cards and grows as it is scrolled: 500 tasks are not 500
// cards in the document.

import { Card } from "./card.js";
import { arrange, byId, el } from "./dom.js";
import { isFiltered } from "./filters.js";
import { OPEN_STATUSES, STATUSES, STATUS_NAMES } from "./model.js";

const CARDS_AT_FIRST = 30;
const MORE_CARDS = 30;

class Column {
  constructor(status, { onGrow, onMoreClosed, onNew }) {
    this.status = status;
    this.shown = CARDS_AT_FIRST;
    const id = `column-${status}`;
    this.count = el("span", { class: "count" });
    this.add = el(
      "button",
      { class: "quiet add", "aria-label": `New task in ${STATUS_NAMES[status]}` },
      "+",
    );
    this.add.addEventListener("click", () => onNew(status));
    this.list = el("ol", { class: "cards", role: "list" });
    this.grow = el("button", { class: "quiet more", hidden: true });
    this.grow.addEventListener("click", () => this.#more(onGrow));
    this.older = el("button", { class: "quiet more", hidden: true }, "Load older tasks");
    this.older.addEventListener("click", onMoreClosed);
    this.note = el("p", { class: "note", hidden: true });
    this.scroller = el("div", { class: "scroller" }, this.list, this.grow, this.older, this.note);
    const heading = el("h2", { id }, STATUS_NAMES[status], " ", this.count);
    this.node = el(
      "section",
      { class: "column", "aria-labelledby": id, "data-status": status },
      el("header", {}, heading, OPEN_STATUSES.includes(status) ? this.add : null),
      this.scroller,
    );
    const nearEnd = (entries) => entries.some((entry) => entry.isIntersecting) && this.#more(onGrow);
    this.observer = new IntersectionObserver(nearEnd, { rootMargin: "300px" });
    this.observer.observe(this.grow);
  }

  #more(onGrow) {
    if (this.grow.hidden) return;
    this.shown += MORE_CARDS;
    onGrow();
    // The observer reports a change only; in a tall window the button may still be near.
    this.observer.unobserve(this.grow);
    this.observer.observe(this.grow);
  }

  render(tasks, cardFor, { isCutOff, hasMore, emptyText, isReadOnly }) {
    this.count.textContent = `${tasks.length}${isCutOff || hasMore ? "+" : ""}`;
    this.add.hidden = isReadOnly;
    arrange(this.list, tasks.slice(0, this.shown).map(cardFor));
    const hidden = tasks.length - this.shown;
    this.grow.hidden = hidden <= 0;
    this.grow.textContent = `Show more (${hidden})`;
    this.older.hidden = hidden > 0 || !hasMore;
    this.note.textContent = isCutOff ? "There are more tasks. Filters find them." : emptyText;
    this.note.hidden = isCutOff ? hidden > 0 : tasks.length > 0;
  }
}

export class Columns {
  #cards = new Map();

  /** `handlers`: onMoreClosed, onNew. */
  constructor(store, handlers) {
    this.store = store;
    this.main = byId("columns");
    const own = { ...handlers, onGrow: () => this.render() };
    this.columns = STATUSES.map((status) => new Column(status, own));
    this.main.replaceChildren(...this.columns.map((column) => column.node));
  }

  /** Show the store's tasks under these filters. */
  render(filters = this.filters) {
    this.filters = filters;
    const { store } = this;
    const focused = document.activeElement;
    const columns = store.columns();
    const used = new Map();
    const cardFor = (task) => {
      const card = this.#cards.get(task.id) ?? new Card(task);
      used.set(task.id, card);
      card.update(task, {
        isSelected: store.selected.has(task.id),
        isPending: store.isPending(task.id),
        hasDraft: store.drafts.has(task.id),
        isReadOnly: store.isReadOnly,
      });
      return card.node;
    };
    for (const column of this.columns) {
      const isOpen = OPEN_STATUSES.includes(column.status);
      column.render(columns[column.status], cardFor, {
        isCutOff: store.cutOff.includes(column.status),
        hasMore: !isOpen && store.hasMoreClosed,
        emptyText: this.#emptyText(column.status),
        isReadOnly: store.isReadOnly,
      });
    }
    this.#cards = used;
    this.main.setAttribute("aria-busy", String(!store.isLoaded));
    // An element that was moved has lost the focus.
    if (focused !== document.activeElement && focused.isConnected) focused.focus();
  }

  #emptyText(status) {
    if (!this.store.isLoaded) return "Loading…";
    if (isFiltered(this.filters)) return "No task matches the filters.";
    if (status === "todo" && this.store.size === 0) return "No tasks yet. N makes the first one.";
    return "No tasks";
  }

  /** Begin each column with few cards again, as for other filters. */
  reset() {
    for (const column of this.columns) {
      column.shown = CARDS_AT_FIRST;
      column.scroller.scrollTop = 0;
    }
  }

  /** Return the task's id of an element inside a card. */
  idOf(element) {
    return element?.closest?.(".card")?.dataset.id;
  }

  /** Return where a task's card is. */
  placeOf(id) {
    const node = this.#cards.get(id)?.node;
    const list = node?.parentElement;
    return list && { list, index: [...list.children].indexOf(node) };
  }

  /** Focus a task's card; if it is not shown, the one that has taken its place, or any. */
  focus(id, place) {
    const inPlace = place?.list.children[Math.min(place.index, place.list.children.length - 1)];
    const titleIn = (node) => node?.querySelector(".title");
    const title = this.#cards.get(id)?.title ?? titleIn(inPlace) ?? titleIn(this.main);
    (title ?? this.main).focus();
  }
}
