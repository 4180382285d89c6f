// Moving the focus and moving tasks: by keyboard, and by drag and drop.

import { STATUSES } from "./model.js";

const TYPE = "application/x-task";

/** Let arrow keys move the focus, and Shift with an arrow key the task. */
export function installKeys(columns, { onMove, onSelect, onDelete }) {
  columns.main.addEventListener("keydown", (event) => {
    const id = columns.idOf(event.target);
    if (!id || event.ctrlKey || event.metaKey || event.altKey) return;
    const isHandled = event.shiftKey
      ? moveTask(event, id, onMove)
      : moveFocus(event) || act(event, id, onSelect, onDelete);
    if (isHandled) event.preventDefault();
  });
}

function moveTask({ key, target }, id, onMove) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const from = STATUSES.indexOf(target.closest(".column").dataset.status);
  const status = by && STATUSES[from + by];
  if (status) onMove(id, status);
  return Boolean(by);
}

function moveFocus({ key, target }) {
  const card = target.closest(".card");
  const column = card.closest(".column");
  const place = [...card.parentElement.children].indexOf(card);
  switch (key) {
    case "ArrowUp":
      return focusCard(card.previousElementSibling);
    case "ArrowDown":
      return focusCard(card.nextElementSibling);
    case "ArrowLeft":
      return focusColumn(column, "previousElementSibling", place);
    case "ArrowRight":
      return focusColumn(column, "nextElementSibling", place);
    default:
      return false;
  }
}

function focusCard(card) {
  card?.querySelector(".title").focus();
  card?.scrollIntoView({ block: "nearest", inline: "nearest" });
  return true;
}

/** Focus the card beside, in the next column that has one. */
function focusColumn(column, direction, place) {
  for (let next = column[direction]; next; next = next[direction]) {
    const cards = next.querySelectorAll(".card");
    if (cards.length) return focusCard(cards[Math.min(place, cards.length - 1)]);
  }
  return true;
}

function act({ key, repeat }, id, onSelect, onDelete) {
  if (key === "x" || key === "X") onSelect(id);
  else if (key !== "Delete") return false;
  // A key that is held down would delete one task after the other.
  else if (!repeat) onDelete(id);
  return true;
}

/** Let cards be dragged to another column. */
export function installDrag(columns, { onDrop }) {
  const { main } = columns;
  main.addEventListener("dragstart", (event) => {
    const id = columns.idOf(event.target);
    if (!id) return;
    event.dataTransfer.setData(TYPE, id);
    event.dataTransfer.effectAllowed = "move";
  });
  main.addEventListener("dragover", (event) => {
    const column = event.target.closest?.(".column");
    mark(main, column);
    if (!column || !event.dataTransfer.types.includes(TYPE)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
  });
  main.addEventListener("drop", (event) => {
    const column = event.target.closest?.(".column");
    const id = event.dataTransfer.getData(TYPE);
    mark(main, null);
    if (!column || !id) return;
    event.preventDefault();
    onDrop(id, column.dataset.status);
  });
  main.addEventListener("dragend", () => mark(main, null));
}

function mark(main, column) {
  for (const each of main.querySelectorAll(".column")) {
    each.classList.toggle("target", each === column);
  }
}
