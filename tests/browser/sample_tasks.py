"""Tasks of a small team, for pictures: enough of each kind to see how the board shows it."""

from datetime import datetime, time, timedelta
from typing import Any

from tests.support.builders import Client

# Title, status, priority, days until due, project, assignee, labels.
Row = tuple[str, str, str, int | None, str | None, str | None, list[str]]

ROWS: list[Row] = [
    ("Archive last year's tickets", "cancelled", "none", None, "support", None, []),
    ("Try the new font on the landing page", "cancelled", "low", None, "website", "mia", []),
    ("Write the release notes", "done", "medium", -1, "release 4.2", "ada", ["docs"]),
    ("Upgrade the payment library", "done", "high", -2, "billing", "tom", ["security"]),
    ("Set up the staging domain", "done", "none", None, "website", "noor", []),
    ("Answer the hosting survey", "done", "low", None, None, None, []),
    ("Rename invoices to receipts", "todo", "none", None, "billing", None, ["wording"]),
    ("Collect screenshots for the press kit", "todo", "low", 9, "website", "mia", ["design"]),
    ("Describe the export format", "todo", "medium", 5, "release 4.2", "ada", ["docs"]),
    ("Ask legal about the cookie text", "todo", "medium", -3, "website", None, ["legal"]),
    ("Plan the database upgrade", "todo", "high", 12, None, "tom", ["ops"]),
    ("Invite the beta group", "todo", "none", 3, "release 4.2", "noor", []),
    ("Renew the certificate of the mail relay", "todo", "urgent", 1, None, "tom", ["ops"]),
    ("Check dates in February", "in_progress", "medium", None, "release 4.2", "ada", ["bug"]),
    ("Redesign the empty states", "in_progress", "low", 6, "website", "mia", ["design"]),
    (
        "Import times out for large files",
        "in_progress",
        "urgent",
        0,
        "release 4.2",
        "noor",
        ["bug"],
    ),
    ("Refund the double charges of Monday", "in_progress", "high", -1, "billing", "tom", ["bug"]),
]


def create_sample(client: Client, today: datetime) -> None:
    """Create the tasks, due in the evening of days counted from today."""
    for title, status, priority, days, project, assignee, labels in ROWS:
        fields: dict[str, Any] = {"status": status, "priority": priority, "labels": labels}
        if days is not None:
            evening = datetime.combine(today.date() + timedelta(days), time(17), today.tzinfo)
            fields["due_at"] = evening.isoformat()
        names = {"project": project, "assignee": assignee}
        client.create(title, **fields, **{name: value for name, value in names.items() if value})
