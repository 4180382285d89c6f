// Changes of many tasks by the API's bulk endpoint, up to 100 in a request.

import { newKey } from "./api.js";
import { reverse, steps } from "./model.js";

const MAX_ITEMS = 100;

/**
 * Make changes, { task, patch } each; a null patch deletes the task.
 *
 * Return those that were done, the task as it is now with the patch that takes the change back, and
 * the problems of the others. A deleted task is as it was.
 */
export async function runBulk(api, store, changes) {
  const problems = [];
  // A closed task is reopened in a first round, because a bulk holds each task once.
  const detours = changes
    .filter(({ task, patch }) => patch?.status && steps(task.status, patch.status).length > 1)
    .map(({ task }) => ({ task, patch: { status: "todo" } }));
  const reopened = await round(api, store, detours, problems);
  const refused = new Set(detours.map(({ task }) => task.id).filter((id) => !reopened.has(id)));
  const rest = changes
    .filter(({ task }) => !refused.has(task.id))
    .map(({ task, patch }) => ({ task: reopened.get(task.id) ?? task, patch }));
  const after = await round(api, store, rest, problems);
  const done = changes
    .filter(({ task }) => after.has(task.id))
    .map(({ task, patch }) => ({ task: after.get(task.id), patch: before(task, patch) }));
  return { done, problems };
}

function before(task, patch) {
  const fields = Object.keys(patch ?? {}).map((name) => (/^labels_/.test(name) ? "labels" : name));
  return reverse(task, Object.fromEntries(fields.map((name) => [name, null])));
}

/** Send changes in requests of the largest size; return the tasks that were changed, by id. */
async function round(api, store, changes, problems) {
  const after = new Map();
  for (let start = 0; start < changes.length; start += MAX_ITEMS) {
    const part = changes.slice(start, start + MAX_ITEMS);
    const results = await api.bulk(part.map(item), newKey());
    results.forEach((result, place) => {
      const { task, patch } = part[place];
      if (result.status >= 400) {
        problems.push(result);
        return;
      }
      after.set(task.id, patch === null ? task : changed(task, patch, result.etag));
      if (patch === null) store.gone(task.id);
      else store.wrote(after.get(task.id));
    });
  }
  return after;
}

function item({ task: { id, etag }, patch }) {
  return patch === null ? { delete: { id, etag } } : { change: { id, etag, patch } };
}

/** Return a task as the server has it after a change; a bulk's result has its ETag only. */
function changed(task, { labels_add: add = [], labels_remove: remove = [], ...fields }, etag) {
  const kept = task.labels.filter((label) => !remove.includes(label));
  const labels = [...kept, ...add.filter((label) => !kept.includes(label))];
  const updated = { version: task.version + 1, updated_at: new Date().toISOString() };
  return { ...task, labels, ...fields, ...updated, etag };
}
