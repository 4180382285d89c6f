from api.comments.models import Comment, comment_of, is_deleted_comment
from api.principal import NO_KEY, Actor
from api.tasks.comments import NewComment
from api.tasks.table import TaskKey

TASK = TaskKey("default", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
ID = "01ARZ3NDEKTSV4RRFFQ69G5FAX"
NOW = "2027-01-04T09:00:00.000Z"
NEW = NewComment(ID, "One\ntwo", NOW, Actor(ID, "a#b"), "0d6f5b8a9c3e2417")


def test_a_comment_is_read_as_it_was_stored() -> None:
    item = NEW.item(TASK)
    assert not is_deleted_comment(item)
    assert comment_of(item) == Comment(
        id=ID,
        task_id=TASK.task_id,
        text=NEW.text,
        created_at=NOW,
        updated_at=NOW,
        created_by=NEW.by,
        updated_by=NEW.by,
        version=1,
        etag='"0d6f5b8a9c3e2417"',
    )


def test_a_comment_without_a_key_has_no_author() -> None:
    assert comment_of(NEW._replace(by=NO_KEY).item(TASK)).created_by == NO_KEY
