"""Comments as DynamoDB stores them: items of their own, which the task that has them counts."""

from typing import NamedTuple

from pynamodb.expressions.condition import Condition

from api.dynamodb.item_json import Item, to_attribute
from api.principal import Actor
from api.tasks.table import (
    COMMENTS,
    NO_REVISION,
    REVISION_HISTORY,
    TaskKey,
    actor_attribute,
    partition,
    state_partition,
)

COMMENT_PREFIX = "comment#"


class CommentKey(NamedTuple):
    """The identity of a comment: its task and its id."""

    task: TaskKey
    comment_id: str

    @property
    def primary_key(self) -> tuple[str, str]:
        return partition(self.task.workspace), comment_prefix(self.task) + self.comment_id


class CommentWrite(NamedTuple):
    """An item to store under a comment's key, with the change of its task."""

    key: CommentKey
    item: Item
    condition: Condition
    # How many comments more the task has.
    added: int

    def already_applied(self, found: Item) -> bool:
        """Return whether an item under the key shows the write; the id of a new comment is new."""
        return self.added > 0 or bool(found["revision"] == self.item["revision"])


def new_comment_item(key: CommentKey, text: str, created_at: str, by: Actor, revision: str) -> Item:
    pk, sk = key.primary_key
    author = actor_attribute(by)
    values: dict[str, str | int | None] = {
        "pk": pk,
        "sk": sk,
        "all_scope": state_partition(key.task.workspace, COMMENTS),
        "updated_order": comment_order(key.comment_id, created_at),
        "text": text,
        "created_at": created_at,
        "updated_at": created_at,
        "created_by": author,
        "updated_by": author,
        "version": 1,
        **dict.fromkeys(REVISION_HISTORY, NO_REVISION),
        "revision": revision,
    }
    return {name: to_attribute(value) for name, value in values.items() if value is not None}


def is_comment(item: Item) -> bool:
    sort_key: str = item["sk"]["S"]
    return sort_key.startswith(COMMENT_PREFIX)


def comment_ids(item: Item) -> tuple[str, str]:
    """Return the id of a comment's task, and its own."""
    _, task_id, comment_id = item["sk"]["S"].split("#")
    return task_id, comment_id


def comment_prefix(task: TaskKey) -> str:
    """Return what the sort keys of a task's comments begin with."""
    return f"{COMMENT_PREFIX}{task.task_id}#"


def comment_order(comment_id: str, timestamp: str) -> str:
    return f"{timestamp}#{comment_id}"
