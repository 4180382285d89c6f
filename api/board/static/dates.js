// Due times: the API has UTC, people have their own clock.

const sameYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const otherYear = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  year: "numeric",
});
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Return a time of the API as a person reads it. */
export const moment = (time) => dayAndTime.format(new Date(time));

/** Return the midnight that begins a day, so many days from now. */
export function midnight(now, days = 0) {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days);
}

/** Return the mark of a due time: its kind, and its text; null without one. */
export function dueMark(task, isClosed, now = new Date()) {
  if (!task.due_at) return null;
  const due = new Date(task.due_at);
  const day = (due.getFullYear() === now.getFullYear() ? sameYear : otherYear).format(due);
  if (isClosed) return { kind: "plain", text: day };
  if (due < now) return { kind: "overdue", text: `Overdue ${day}` };
  if (due < midnight(now, 1)) return { kind: "soon", text: `Today ${time.format(due)}` };
  if (due < midnight(now, 2)) return { kind: "soon", text: `Tomorrow ${time.format(due)}` };
  return { kind: "plain", text: day };
}

/** Return the range of due times of a filter, as parameters of the API. */
export function dueRange(filter, now = new Date()) {
  switch (filter) {
    case "overdue":
      return { due_before: now.toISOString() };
    case "today":
      return { due_from: midnight(now).toISOString(), due_before: midnight(now, 1).toISOString() };
    case "week":
      return { due_from: midnight(now).toISOString(), due_before: midnight(now, 7).toISOString() };
    default:
      return {};
  }
}

/** Return the value of a datetime-local input for a time of the API. */
export function toInput(time) {
  if (!time) return "";
  const local = new Date(time);
  local.setMinutes(local.getMinutes() - local.getTimezoneOffset());
  return local.toISOString().slice(0, 16);
}

/** Return the API's time for a datetime-local input; the old one if the input shows it still. */
export function fromInput(value, old) {
  if (value === toInput(old)) return old;
  return value ? new Date(value).toISOString() : null;
}

