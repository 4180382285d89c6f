"""Comments as DynamoDB stores them: items of their own, which the task that has them counts."""

from typing import NamedTuple

from pynamodb.expressions.condition import Condition

from api.dynamodb.item_json import NOT_EXISTS, Item, to_attribute
from api.principal import Actor
from api.tasks.table import (
    COMMENTS,
    NO_REVISION,
    REVISION_HISTORY,
    TaskItem,
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


class NewComment(NamedTuple):
    """A comment to store with the change of its task."""

    id: str
    text: str
    created_at: str
    by: Actor
    revision: str

    def key(self, task: TaskKey) -> CommentKey:
        return CommentKey(task, self.id)

    @property
    def added(self) -> int:
        """How many comments more the task has."""
        return 1

    @property
    def condition(self) -> Condition:
        return NOT_EXISTS

    def already_applied(self, _found: Item) -> bool:
        """Return whether an item under the comment's key shows it; its id is new."""
        return True

    def item(self, task: TaskKey) -> Item:
        pk, sk = self.key(task).primary_key
        author = actor_attribute(self.by)
        values: dict[str, str | int | None] = {
            "pk": pk,
            "sk": sk,
            "all_scope": state_partition(task.workspace, COMMENTS),
            "updated_order": comment_order(self.id, self.created_at),
            "text": self.text,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "created_by": author,
            "updated_by": author,
            "version": 1,
            **dict.fromkeys(REVISION_HISTORY, NO_REVISION),
            "revision": self.revision,
        }
        return {name: to_attribute(value) for name, value in values.items() if value is not None}


class CommentDeletion(NamedTuple):
    """The tombstone to store in the place of a comment, with the change of its task."""

    id: str
    tombstone: Item

    @property
    def added(self) -> int:
        return -1

    @property
    def condition(self) -> Condition:
        read: Condition = TaskItem.revision == self.tombstone["revision_1"]["S"]
        return read

    def key(self, task: TaskKey) -> CommentKey:
        return CommentKey(task, self.id)

    def already_applied(self, found: Item) -> bool:
        return bool(found["revision"] == self.tombstone["revision"])

    def item(self, _task: TaskKey) -> Item:
        return self.tombstone


CommentWrite = NewComment | CommentDeletion


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
