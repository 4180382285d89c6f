"""Examples of responses, for the OpenAPI document; tests validate them."""

from api.tasks.examples import ACTOR, CHANGED_TASK, OTHER_ID
from api.values import EXAMPLE_CURSOR

EXAMPLES = {
    "changes": {
        "summary": "A change and a deletion",
        "value": {
            "tasks": [CHANGED_TASK],
            "deletions": [
                {
                    "id": OTHER_ID,
                    "version": 2,
                    "deleted_at": "2027-01-06T08:00:00.000Z",
                    "deleted_by": ACTOR,
                }
            ],
            "comments": [],
            "comment_deletions": [],
            "token": EXAMPLE_CURSOR,
            "has_more": False,
        },
    },
}
