// The README's tour with openapi-fetch: node tour-fetch.js <URL>, with a key in KEY.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./task-tracker.js";

const headers = { Authorization: `Bearer ${process.env.KEY}` };
const client = createClient<paths>({ baseUrl: process.argv[2], headers });

type TaskChange = components["schemas"]["TaskChange"];
const change = (task_id: string, etag: string, body: TaskChange) =>
  client.PATCH("/v1/tasks/{task_id}", {
    params: { path: { task_id }, header: { "If-Match": etag } },
    body,
  });

const created = await client.POST("/v1/tasks", { body: { title: "Write it down" } });
assert(created.data);
const task = created.data;
assert.equal(task.status, "todo");
assert.equal(created.response.headers.get("ETag"), task.etag);

const path = { task_id: task.id };
const read = await client.GET("/v1/tasks/{task_id}", { params: { path } });
assert.deepEqual(read.data, task);

const done = await change(task.id, task.etag, { status: "done", project: "memory" });
assert.equal(done.data?.version, 2);
const stale = await change(task.id, task.etag, { title: "Mine now" });
assert.equal(stale.error?.type, "/problems/stale-etag");
assert.equal(stale.error.current_etag, done.data?.etag);
const illegal = await change(task.id, "*", { status: "in_progress" });
assert.deepEqual(illegal.error?.legal_moves, ["todo"]);

const withComment = { description: "With ink.", comment: "The pencil broke." };
const commented = await change(task.id, "*", withComment);
assert.equal(commented.data?.comment_count, 1);
const comments = await client.GET("/v1/tasks/{task_id}/comments", { params: { path } });
assert.deepEqual(comments.data?.items.map((each) => each.text), ["The pencil broke."]);

const order = (title: string) =>
  client.POST("/v1/tasks", {
    params: { header: { "Idempotency-Key": "4711" } },
    body: { title },
  });
assert.equal((await order("Pack it")).response.status, 201);
assert.equal((await order("Pack it")).response.headers.get("Idempotent-Replayed"), "true");
assert.equal((await order("Send it")).error?.type, "/problems/idempotency-key-reused");

const open = await client.GET("/v1/tasks", { params: { query: { q: "pack", sort: "due" } } });
assert.deepEqual(open.data?.items.map((each) => each.title), ["Pack it"]);
const closed = await client.GET("/v1/tasks", {
  params: { query: { project: "memory", state: "closed", status: ["done"] } },
});
assert.deepEqual(closed.data?.items.map((each) => each.id), [task.id]);

const bulk = await client.POST("/v1/tasks/bulk", {
  body: {
    items: [
      { create: { title: "Print it", labels: ["paper"] } },
      { change: { id: task.id, etag: "*", patch: { status: "todo", labels_add: ["paper"] } } },
    ],
  },
});
assert.deepEqual(bulk.data?.results.map((each) => each.status), [201, 200]);
const names = await client.GET("/v1/labels");
assert.deepEqual(names.data?.items, [{ name: "paper", open_tasks: 2 }]);

const deleted = await client.DELETE("/v1/tasks/{task_id}", {
  params: { path, header: { "If-Match": "*" } },
});
assert.equal(deleted.response.status, 204);
const missing = await client.GET("/v1/tasks/{task_id}", { params: { path } });
assert.equal(missing.error?.type, "/problems/task-not-found");
console.log("toured");
