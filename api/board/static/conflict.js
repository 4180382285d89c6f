// The dialog for a task that changed since it was read: both states, and the person's choice.

import { ask, byId, el } from "./dom.js";
import { FIELDS, FIELD_NAMES, shown } from "./model.js";

const dialog = byId("conflict");
const rows = byId("conflict-rows");

/** Return whether the person's change is to be made on top of the other one. */
export async function keepsMine(base, patch, theirs) {
  const names = FIELDS.filter(
    (name) => name in patch || shown(name, base[name]) !== shown(name, theirs[name]),
  );
  rows.replaceChildren(...names.map((name) => row(name, base, patch, theirs)));
  byId("conflict-title").textContent = `“${theirs.title}” has changed`;
  return (await ask(dialog)) === "mine";
}

function row(name, base, patch, theirs) {
  const mine = name in patch ? patch[name] : theirs[name];
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, FIELD_NAMES[name]),
    cell(name, mine, name in patch),
    cell(name, theirs[name], shown(name, base[name]) !== shown(name, theirs[name])),
  );
}

function cell(name, value, isChanged) {
  const text = shown(name, value);
  return el("td", {}, isChanged ? el("mark", {}, text) : text);
}
