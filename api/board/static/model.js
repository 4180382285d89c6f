// What the board knows about tasks. The API's own rules are in api/tasks/models.py; a test compares.

export const STATUSES = ["todo", "in_progress", "done", "cancelled"];
export const OPEN_STATUSES = ["todo", "in_progress"];
export const STATUS_NAMES = {
  todo: "To do",
  in_progress: "In progress",
  done: "Done",
  cancelled: "Cancelled",
};
export const PRIORITIES = ["none", "low", "medium", "high", "urgent"];
export const PRIORITY_NAMES = {
  none: "None",
  low: "Low",
  medium: "Medium",
  high: "High",
  urgent: "Urgent",
};
export const FIELD_NAMES = {
  title: "Title",
  description: "Description",
  status: "Status",
  priority: "Priority",
  due_at: "Due",
  labels: "Labels",
  project: "Project",
  assignee: "Assignee",
};
export const FIELDS = Object.keys(FIELD_NAMES);

export const isClosed = (status) => !OPEN_STATUSES.includes(status);

/** Return the statuses through which a task moves: the API reopens a closed task to To do only. */
export function steps(from, to) {
  if (from === to) return [];
  return isClosed(from) && to !== "todo" ? ["todo", to] : [to];
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Return the fields that differ, with the values of `after`. */
export function difference(before, after) {
  const changed = Object.keys(after).filter((name) => !same(before[name], after[name]));
  return Object.fromEntries(changed.map((name) => [name, after[name]]));
}

/** Return whether two states of a task differ in nothing but comments. */
export const isSameTask = (a, b) => FIELDS.every((name) => same(a[name], b[name]));

/** Return the values that a task's fields had before a patch. */
export function reverse(task, patch) {
  return Object.fromEntries(Object.keys(patch).map((name) => [name, task[name]]));
}

const newestFirst = (a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
const byDue = (a, b) =>
  (a.due_at ?? "~") < (b.due_at ?? "~") ? -1 : a.due_at === b.due_at ? newestFirst(a, b) : 1;
const byPriority = (a, b) =>
  PRIORITIES.indexOf(b.priority) - PRIORITIES.indexOf(a.priority) || newestFirst(a, b);
const lastChangedFirst = (a, b) =>
  a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : newestFirst(a, b);

const ORDERS = { created: newestFirst, due: byDue, priority: byPriority };

/** Return how a column orders its tasks; closed tasks have no order but the last change. */
export function order(status, sort) {
  return isClosed(status) ? lastChangedFirst : ORDERS[sort];
}

/** Return a value as a person reads it. */
export function shown(name, value) {
  if (value === null || value === undefined || value === "" || value.length === 0) return "none";
  if (name === "status") return STATUS_NAMES[value];
  if (name === "priority") return PRIORITY_NAMES[value];
  if (name === "due_at") return new Date(value).toLocaleString();
  return Array.isArray(value) ? value.join(", ") : value;
}
