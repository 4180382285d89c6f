// Filters: the form's fields, the address' fragment (to share or bookmark), the API's parameters.

import { dueRange } from "./dates.js";
import { isClosed } from "./model.js";

export const EMPTY = {
  q: "",
  assignee: "",
  project: "",
  labels: [],
  priority: "",
  due: "",
  sort: "created",
};
const TEXTS = ["q", "assignee", "project", "priority", "due", "sort"];
export const MAX_OPEN_IN_PAGE = 100;
export const MAX_CLOSED_IN_PAGE = 50;
const OPEN_SORTS = { created: "-created", due: "due", priority: "-priority" };
const CHOICES = {
  due: ["", "overdue", "today", "week"],
  sort: Object.keys(OPEN_SORTS),
  priority: ["", "none", "low", "medium", "high", "urgent"],
};

/** Quote a name, so that a project called "none" is not taken for no project. */
export const literal = (name) => `"${name}"`;

export const WITHOUT = "none";

/** Return the name that a filter by project or assignee is for. */
export const nameOf = (filter) => filter.replace(/^"(.+)"$/, "$1");

/** Return the filters that a fragment holds; what it cannot hold is left out. */
export function fromFragment(fragment) {
  const read = new URLSearchParams(fragment.replace(/^#/, ""));
  const filters = { ...EMPTY, labels: read.getAll("label") };
  for (const name of TEXTS) {
    const value = read.get(name);
    if (value !== null && (CHOICES[name] ?? [value]).includes(value)) filters[name] = value;
  }
  return filters;
}

export function toFragment(filters) {
  const written = new URLSearchParams();
  for (const name of TEXTS) {
    if (filters[name] !== EMPTY[name]) written.set(name, filters[name]);
  }
  for (const label of filters.labels) written.append("label", label);
  return written.toString();
}

export function isFiltered(filters) {
  return toFragment({ ...filters, sort: EMPTY.sort }) !== "";
}

function common(filters) {
  const parameters = new URLSearchParams(dueRange(filters.due));
  for (const name of ["assignee", "project", "priority"]) {
    if (filters[name]) parameters.set(name, filters[name]);
  }
  if (filters.q.trim()) parameters.set("q", filters.q.trim());
  for (const label of filters.labels) parameters.append("label", label);
  return parameters;
}

/** Return the parameters of the list of one open status. */
export function openParameters(filters, status) {
  const parameters = common(filters);
  parameters.set("status", status);
  // A range of due times costs least under its own order.
  parameters.set("sort", filters.due ? "due" : OPEN_SORTS[filters.sort]);
  parameters.set("limit", MAX_OPEN_IN_PAGE);
  return parameters;
}

/** Return the parameters of the list of closed tasks, the last changed first. */
export function closedParameters(filters) {
  const parameters = common(filters);
  parameters.set("state", "closed");
  parameters.set("sort", "-updated");
  parameters.set("limit", MAX_CLOSED_IN_PAGE);
  return parameters;
}

/** Return whether the lists under these filters hold a task, as the API decides it. */
export function passes(task, filters) {
  const title = folded(task.title);
  return (
    hasName(task.project, filters.project) &&
    hasName(task.assignee, filters.assignee) &&
    (!filters.priority || task.priority === filters.priority) &&
    filters.labels.every((label) => task.labels.includes(label)) &&
    folded(filters.q).split(/\s+/).every((word) => title.includes(word)) &&
    (!filters.due || isDue(task, filters.due))
  );
}

const hasName = (name, filter) =>
  !filter || (filter === WITHOUT ? name === null : name === nameOf(filter));

function isDue({ due_at: due, status }, filter) {
  // A closed task is never overdue.
  if (!due || (filter === "overdue" && isClosed(status))) return false;
  const { due_from: from = "", due_before: before } = dueRange(filter);
  return from <= due && due < before;
}

/** Return a text in the form in which titles are compared: case-folded, as far as browsers can. */
function folded(text) {
  // Through capitals, so that "ß" equals "ss"; by characters, because a final sigma has a form of
  // its own.
  const capitals = text.normalize().toLowerCase().toUpperCase();
  return Array.from(capitals, (character) => character.toLowerCase()).join("").normalize();
}
