"""Examples of requests and responses, for the OpenAPI document; tests send and validate them."""

from typing import Any

from api.values import EXAMPLE_CURSOR

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OTHER_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAW"
ETAG = '"a5a7d12d3d028369"'
ACTOR = {"key_id": "01ARZ3NDEKTSV4RRFFQ69G5FAW", "label": "backup script"}
TASK = {
    "id": ID,
    "title": "Write it down",
    "description": "",
    "status": "todo",
    "priority": "high",
    "labels": ["paper"],
    "project": "memory",
    "assignee": "ada",
    "due_at": "2027-01-31T09:30:00.000Z",
    "created_at": "2027-01-04T08:00:00.000Z",
    "updated_at": "2027-01-04T08:00:00.000Z",
    "completed_at": None,
    "created_by": ACTOR,
    "updated_by": ACTOR,
    "comment_count": 0,
    "version": 1,
    "etag": ETAG,
}
CHANGED_TASK = TASK | {
    "status": "done",
    "labels": ["paper", "ink"],
    "updated_at": "2027-01-05T08:00:00.000Z",
    "completed_at": "2027-01-05T08:00:00.000Z",
    "version": 2,
}
NEW_TASK = {
    "title": "Write it down",
    "priority": "high",
    "labels": ["paper"],
    "project": "memory",
    "assignee": "ada",
    "due_at": "2027-01-31T10:30:00+01:00",
}
BRIEF_TASK = {
    name: TASK[name]
    for name in ("id", "title", "status", "priority", "due_at", "project", "assignee", "etag")
}
TRASHED_TASK = {name: value for name, value in BRIEF_TASK.items() if name != "etag"} | {
    "deleted_at": "2027-01-06T08:00:00.000Z",
    "deleted_by": ACTOR,
}
BULK = {
    "items": [
        {"create": {"title": "Write it down"}},
        {
            "change": {
                "id": ID,
                "etag": ETAG,
                "patch": {"status": "done", "labels_add": ["ink"]},
            }
        },
        {"delete": {"id": OTHER_ID, "etag": "*"}},
    ]
}
BULK_RESULTS = {
    "results": [
        {"status": 201, "id": "01ARZ3NDEKTSV4RRFFQ69G5FAX", "etag": '"0d6f5b8a9c3e2417"'},
        {"status": 200, "id": ID, "etag": '"5c1b7e90d2f4a683"'},
        {
            "type": "/problems/task-not-found",
            "title": "Task not found",
            "status": 404,
            "detail": "There is no task with this id.",
        },
    ]
}


def _example(summary: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "value": value}


EXAMPLES = {
    "title_alone": _example("A title alone", {"title": "Write it down"}),
    "new_task": _example("More fields", NEW_TASK),
    "task": _example("A task", TASK),
    "change": _example("Done, with another label", {"status": "done", "labels_add": ["ink"]}),
    "reset": _example("Without a due time", {"due_at": None}),
    "changed_task": _example("The task after it", CHANGED_TASK),
    "page": _example("The last page", {"items": [TASK], "next_cursor": None}),
    "brief_page": _example(
        "A page under view=brief", {"items": [BRIEF_TASK], "next_cursor": EXAMPLE_CURSOR}
    ),
    "trash": _example("The last page", {"items": [TRASHED_TASK], "next_cursor": None}),
    "bulk": _example("A new task, a change and a deletion", BULK),
    "bulk_results": _example("Two were done", BULK_RESULTS),
    "names": _example(
        "One name", {"items": [{"name": "memory", "open_tasks": 2}], "complete": True}
    ),
}
