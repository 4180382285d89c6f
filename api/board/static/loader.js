// Reads what the board shows: all open tasks up to a bound, and the closed ones last changed.

import {
  closedParameters,
  MAX_CLOSED_IN_PAGE,
  MAX_OPEN_IN_PAGE,
  openParameters,
} from "./filters.js";
import { OPEN_STATUSES } from "./model.js";

// 1 000 tasks of each open status. Beyond that a filter serves better than a longer column.
export const MAX_OPEN_PAGES = 10;
const TASKS = "v1/tasks";

/** Read a list's pages, up to a number of them; `hasMore` says whether others follow. */
export async function readPages(api, path, parameters, maxPages = Infinity) {
  const all = [];
  let cursor = null;
  for (let page = 0; page < maxPages; page++) {
    const following = new URLSearchParams(parameters);
    if (cursor) following.set("cursor", cursor);
    const { items, next_cursor: next } = await api.list(path, following);
    all.push(...items);
    cursor = next;
    if (!cursor) break;
  }
  return { items: all, hasMore: cursor !== null };
}

/** Read the lists of a board. A task that moved meanwhile can be in two of them. */
export async function loadBoard(api, filters, closedPages) {
  const lists = await Promise.all([
    ...OPEN_STATUSES.map((status) =>
      readPages(api, TASKS, openParameters(filters, status), MAX_OPEN_PAGES),
    ),
    // A closed task is never overdue.
    filters.due === "overdue"
      ? { items: [], hasMore: false }
      : readPages(api, TASKS, closedParameters(filters), closedPages),
  ]);
  const closed = lists.at(-1);
  return {
    tasks: lists.flatMap((list) => list.items),
    cutOff: OPEN_STATUSES.filter((_, place) => lists[place].hasMore),
    maxOpen: MAX_OPEN_PAGES * MAX_OPEN_IN_PAGE,
    hasMoreClosed: closed.hasMore,
    maxClosed: closedPages * MAX_CLOSED_IN_PAGE,
  };
}

/** Read the names in use, for the filters and the editor's suggestions. */
export async function loadNames(api) {
  const read = async (kind) => {
    const { items } = await api.list(`v1/${kind}`, "");
    return items.map((item) => item.name);
  };
  const [projects, labels, assignees] = await Promise.all(
    ["projects", "labels", "assignees"].map(read),
  );
  return { projects, labels, assignees };
}
