// The README's tour with @hey-api/openapi-ts: node tour-hey-api.js <URL>, with a key in KEY.
import assert from "node:assert/strict";
import { client } from "./hey-api/client.gen.js";
import {
  changeTask,
  createTask,
  deleteTask,
  listComments,
  listLabels,
  listTasks,
  readTask,
  runBulk,
} from "./hey-api/sdk.gen.js";
import type { TaskChange } from "./hey-api/types.gen.js";

client.setConfig({ baseUrl: process.argv[2], auth: () => process.env.KEY });

const change = (task_id: string, etag: string, body: TaskChange) =>
  changeTask({ path: { task_id }, headers: { "If-Match": etag }, body });

const created = await createTask({ body: { title: "Write it down" } });
assert(created.data);
const task = created.data;
const path = { task_id: task.id };
assert.deepEqual((await readTask({ path })).data, task);

const done = await change(task.id, task.etag, { status: "done", project: "memory" });
assert.equal(done.data?.version, 2);
const stale = await change(task.id, task.etag, { title: "Mine now" });
assert.equal(stale.error?.type, "/problems/stale-etag");
const illegal = await change(task.id, "*", { status: "in_progress" });
assert.deepEqual(illegal.error?.legal_moves, ["todo"]);

const withComment = { description: "With ink.", comment: "The pencil broke." };
const commented = await change(task.id, "*", withComment);
assert.equal(commented.data?.comment_count, 1);
const comments = await listComments({ path });
assert.deepEqual(comments.data?.items.map((each) => each.text), ["The pencil broke."]);

const order = (title: string) =>
  createTask({ headers: { "Idempotency-Key": "4711" }, body: { title } });
assert.equal((await order("Pack it")).response?.status, 201);
assert.equal((await order("Pack it")).response?.headers.get("Idempotent-Replayed"), "true");
assert.equal((await order("Send it")).error?.type, "/problems/idempotency-key-reused");

const open = await listTasks({ query: { q: "pack", sort: "due" } });
assert.deepEqual(open.data?.items.map((each) => each.title), ["Pack it"]);
const closed = await listTasks({ query: { project: "memory", status: ["done"] } });
assert.deepEqual(closed.data?.items.map((each) => each.id), [task.id]);

const bulk = await runBulk({
  body: {
    items: [
      { create: { title: "Print it", labels: ["paper"] } },
      { change: { id: task.id, etag: "*", patch: { status: "todo", labels_add: ["paper"] } } },
    ],
  },
});
assert.deepEqual(bulk.data?.results.map((each) => each.status), [201, 200]);
assert.deepEqual((await listLabels()).data?.items, [{ name: "paper", open_tasks: 2 }]);

const deleted = await deleteTask({ path, headers: { "If-Match": "*" } });
assert.equal(deleted.response?.status, 204);
assert.equal((await readTask({ path })).error?.type, "/problems/task-not-found");
console.log("toured");
