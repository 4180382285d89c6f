"""Each defence of a write, and what is left when it is taken away: the tests must notice.

A defence is text in a file that is replaced; one that cannot be found any more is a failure too.
"""

from typing import NamedTuple

LOST = "tests/api/lost_answers_test.py::test_"
KEYS = "tests/api/idempotency_test.py::test_"
TASKS = "tests/api/tasks_test.py::test_"
STORE = "tests/api/repository_test.py::test_"
TRIES = "tests/api/attempts_test.py::test_"
WIRE = "tests/api/loop_wire_test.py::test_"
CURSOR = "tests/api/cursor_test.py::test_"


class Defence(NamedTuple):
    """What is replaced by what in a file of api/, and the tests of which one must fail."""

    file: str
    there: str
    instead: str
    noticed_by: str


DEFENCES = {
    "a create is put where nothing is": Defence(
        "repository.py", ", condition=NEW)", ")", LOST + "a_create_brings_nothing_back"
    ),
    "a create knows itself again": Defence(
        "repository.py",
        "if not failures.was_refused(error):\n                raise",
        "raise",
        LOST + "a_create_is_no_conflict_with_itself",
    ),
    "a change is made on the state it names": Defence(
        "edits.py",
        "condition = _is_one_of(revisions)",
        "condition = TaskItem.pk.exists()",
        STORE + "of_two_writers_one_wins",
    ),
    "a deletion is made on the state it names": Defence(
        "edits.py",
        "return _is_one_of(revisions)",
        "return TaskItem.pk.exists()",
        TASKS + "a_stale_tag_changes_nothing",
    ),
    "a move is made from a status that allows it": Defence(
        "edits.py", "if self.from_statuses:", "if False:", TASKS + "an_illegal_move_names"
    ),
    "a move under a key is made from a status that allows it": Defence(
        "edits.py",
        "not self.from_statuses or status in self.from_statuses",
        "True",
        KEYS + "failures_are_not_kept",
    ),
    "a refused write looks whether it was made": Defence(
        "items.py",
        "if write.was_made(item):",
        "if False:",
        LOST + "a_change_is_no_conflict_with_itself",
    ),
    "a write keeps those before it": Defence(
        "edits.py", "*KEEP_LINEAGE, ", "", LOST + "a_change_is_found_behind_others"
    ),
    "what a lineage cannot tell is not guessed": Defence(
        "items.py",
        "if failures.in_doubt(error) and not edits.reaches_back(item, revisions):",
        "if False:",
        LOST + "behind_too_many_others_nobody_knows",
    ),
    "whatever is there is tied to what was there": Defence(
        "edits.py",
        "return TaskItem.revision.is_in(*revisions or {NO_REVISION})",
        "return TaskItem.pk.exists()",
        LOST + "a_change_of_whatever_is_there_is_not_made_again",
    ),
    "a doubt is not forgotten": Defence(
        "attempts.py",
        "self._in_doubt = self._in_doubt or _is_unanswered(error)",
        "self._in_doubt = _is_unanswered(error)",
        TRIES + "a_doubt_outlives_what_comes_after_it",
    ),
    "a failing store leaves a doubt": Defence(
        "attempts.py",
        "        return _failed_inside(error)\n    return isinstance(error, UNANSWERED)",
        "        return False\n    return isinstance(error, UNANSWERED)",
        TRIES + "what_may_have_had_its_effect",
    ),
    "a broken connection leaves a doubt": Defence(
        "attempts.py",
        "return isinstance(error, UNANSWERED)",
        "return False",
        TRIES + "what_may_have_had_its_effect",
    ),
    "a doubt is told": Defence(
        "failures.py",
        "if isinstance(error, WRITE_ERRORS) and in_doubt(error):",
        "if False:",
        LOST + "a_doubt_outlives_a_read_that_fails",
    ),
    "a doubt outlives a read that fails": Defence(
        "items.py",
        "if failures.in_doubt(refused):",
        "if False:",
        LOST + "a_doubt_outlives_a_read_that_fails",
    ),
    "a tombstone is no task": Defence(
        "edits.py", 'return "expires_at" in item', "return False", TASKS + "a_deleted_task_is_gone"
    ),
    "a tombstone is in no list": Defence(
        "edits.py", "*LEAVE_LISTS,", "", TASKS + "a_deleted_task_is_gone"
    ),
    "a deletion knows its own tombstone": Defence(
        "edits.py",
        'self.revision == item["revision"]["S"]',
        "False",
        LOST + "a_deletion_finds_its_own_tombstone",
    ),
    "a deletion can be repeated": Defence(
        "edits.py",
        'or item["revision_1"]["S"] in self.match.revisions',
        "",
        TASKS + "a_deletion_can_be_repeated",
    ),
    "a tombstone's own revision is nobody's to name": Defence(
        "repository.py",
        "task_of(edits.last_state(item))",
        "task_of(item)",
        LOST + "a_change_is_found_in_a_tombstone",
    ),
    "a key's record is put where none stands": Defence(
        "items.py",
        "spare = NEW | (TaskItem.expires_at <= claim.now)",
        "spare = TaskItem.pk.does_not_exist() | TaskItem.pk.exists()",
        KEYS + "a_repeated_create_makes_one_task",
    ),
    "a key's record is written with its effect": Defence(
        "items.py", "[record, put], [],", "[put], [],", KEYS + "a_repeated_create_makes_one_task"
    ),
    "a key says one thing": Defence(
        "service.py",
        "if replay.fingerprint != claimed.fingerprint:",
        "if False:",
        KEYS + "a_key_says_one_thing",
    ),
    "a key belongs to one place": Defence(
        "idempotency.py",
        '_hash(f"{place}\\n{unquoted}")',
        "_hash(unquoted)",
        KEYS + "a_key_belongs_to_its_method_and_path",
    ),
    "a key is new after a day": Defence(
        "items.py",
        "spare = NEW | (TaskItem.expires_at <= claim.now)",
        "spare = NEW",
        KEYS + "a_key_is_kept_for_a_day",
    ),
    "an old record is no answer": Defence(
        "idempotency.py",
        'return int(record["expires_at"]["N"]) > self.now.timestamp()',
        "return True",
        KEYS + "a_changes_key_is_kept_for_a_day",
    ),
    "a key is looked at before the tag": Defence(
        "repository.py",
        "if record is not None and claim.holds(record):",
        "if False:",
        KEYS + "a_repeated_change_is_made_once",
    ),
    "a request under a key is no replay of itself": Defence(
        "items.py",
        'return None if first["revision"] == record[ITEM]["revision"] else first',
        "return first",
        LOST + "a_create_under_a_key_is_no_replay_of_itself",
    ),
    "a change under a key is made on the state that was read": Defence(
        "repository.py",
        'TaskItem.revision == item["revision"]["S"]',
        "TaskItem.pk.exists()",
        LOST + "a_change_under_a_key_is_not_made_past_others",
    ),
    "a task by its id is read consistently": Defence(
        "items.py",
        "consistent_read=True",
        "consistent_read=False",
        STORE + "a_task_is_read_consistently",
    ),
    "a cursor's signature is compared": Defence(
        "cursor.py",
        "if not hmac.compare_digest(mac, self._sign(position, context)):",
        "if False:",
        CURSOR + "no_single_character_can_be_changed",
    ),
    "a cursor belongs to its list": Defence(
        "cursor.py",
        "parts = (VERSION, context.encode(), position)",
        "parts = (VERSION, position)",
        CURSOR + "a_cursor_belongs_to_its_list",
    ),
    "a cursor has one spelling": Defence(
        "cursor.py",
        '.decode().rstrip("=") != cursor:',
        '.decode().rstrip("=") == "":',
        CURSOR + "no_single_character_can_be_changed",
    ),
    "an answer is checked against its sum": Defence(
        "loop_wire.py", "    _check_sum(answer)\n", "", WIRE + "what_may_pass_is_tried_again"
    ),
    "a success is DynamoDB's own": Defence(
        "loop_wire.py",
        'raise http1.BrokenError("a success without DynamoDB\'s JSON")',
        "return {}",
        WIRE + "what_may_pass_is_tried_again",
    ),
    "a request has one deadline": Defence(
        "attempts.py",
        "return min(READ_SECONDS, left)",
        "return READ_SECONDS",
        TRIES + "the_last_attempt_has_what_is_left",
    ),
    "nothing begins after the deadline": Defence(
        "attempts.py", "if left <= 0:", "if False:", TRIES + "no_attempt_begins_after_the_end"
    ),
    "a stop waits for what is under way": Defence(
        "__main__.py",
        "GRACEFUL_STOP_SECONDS = 20",
        "GRACEFUL_STOP_SECONDS = 0",
        "tests/reliability/restarts_test.py::test_",
    ),
}
