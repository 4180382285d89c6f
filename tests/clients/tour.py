"""The README's tour with the generated Python client: python tour.py <URL>, with a key in KEY."""

import os
import sys

from task_tracker import AuthenticatedClient
from task_tracker.api.comments import list_comments
from task_tracker.api.names import list_labels
from task_tracker.api.tasks import (
    change_task,
    create_task,
    delete_task,
    list_tasks,
    read_task,
    run_bulk,
)
from task_tracker.models import (
    BulkChange,
    BulkItem,
    BulkRequest,
    BulkResults,
    CommentPage,
    FieldsChange,
    ItemDone,
    NamesInUse,
    NewTask,
    Problem,
    Sort,
    StateFilter,
    Status,
    Task,
    TaskChange,
    TaskPage,
)

client = AuthenticatedClient(sys.argv[1], token=os.environ["KEY"])


def change(task: Task, etag: str, to: TaskChange) -> Task | Problem:
    result = change_task.sync(task.id, client=client, if_match=etag, body=to)
    assert result is not None
    return result


task = create_task.sync(client=client, body=NewTask(title="Write it down", project="memory"))
assert isinstance(task, Task), task
assert task.status is Status.TODO
assert read_task.sync(task.id, client=client) == task
unchanged = read_task.sync_detailed(task.id, client=client, if_none_match=task.etag)
assert unchanged.status_code == 304

done = change(task, task.etag, TaskChange(status=Status.DONE, assignee="ada"))
assert isinstance(done, Task), done
assert (done.status, done.assignee, done.version) == (Status.DONE, "ada", 2)

stale = change(task, task.etag, TaskChange(title="Mine now"))
assert isinstance(stale, Problem)
assert (stale.type_, stale.current_etag) == ("/problems/stale-etag", done.etag)
illegal = change(task, "*", TaskChange(status=Status.IN_PROGRESS))
assert isinstance(illegal, Problem)
assert (illegal.type_, illegal.legal_moves) == ("/problems/illegal-move", ["todo"])
reset = change(task, done.etag, TaskChange(assignee=None))
assert isinstance(reset, Task), reset
assert (reset.assignee, reset.project) == (None, "memory")

commented = change(task, "*", TaskChange(description="With ink.", comment="The pencil broke."))
assert isinstance(commented, Task), commented
assert (commented.description, commented.comment_count) == ("With ink.", 1)
comments = list_comments.sync(task.id, client=client)
assert isinstance(comments, CommentPage), comments
assert [each.text for each in comments.items] == ["The pencil broke."]

orders = [
    create_task.sync_detailed(client=client, body=NewTask(title=title), idempotency_key="4711")
    for title in ("Pack it", "Pack it", "Send it")
]
assert [order.status_code for order in orders] == [201, 201, 422]
assert orders[1].headers["Idempotent-Replayed"] == "true"

page = list_tasks.sync(client=client, q="pack", sort=Sort.CREATED_DESCENDING, limit=10)
assert isinstance(page, TaskPage), page
assert [each.title for each in page.items] == ["Pack it"]
closed = list_tasks.sync(client=client, project="memory", state=StateFilter.CLOSED)
assert isinstance(closed, TaskPage), closed
assert [each.id for each in closed.items] == [task.id]

reopened = FieldsChange(status=Status.TODO, labels_add=["paper"])
bulk = BulkRequest(
    items=[
        BulkItem(create=NewTask(title="Print it", labels=["paper"])),
        BulkItem(change=BulkChange(id=task.id, etag="*", patch=reopened)),
    ]
)
results = run_bulk.sync(client=client, body=bulk)
assert isinstance(results, BulkResults), results
assert [each.status for each in results.results if isinstance(each, ItemDone)] == [201, 200]
names = list_labels.sync(client=client)
assert isinstance(names, NamesInUse), names
assert [(each.name, each.open_tasks) for each in names.items] == [("paper", 2)]

deleted = delete_task.sync_detailed(task.id, client=client, if_match="*")
assert deleted.status_code == 204
missing = read_task.sync(task.id, client=client)
assert isinstance(missing, Problem)
assert missing.type_ == "/problems/task-not-found"
print("toured")
