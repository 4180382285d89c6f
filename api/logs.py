"""Logs: one JSON object a line for machines, readable lines on a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from api.models import rfc3339
from api.settings import Settings

requests = logging.getLogger("api.requests")


class JsonLines(logging.Formatter):
    """Renders a record as one JSON object; whatever a value holds, it stays one line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextLines(logging.Formatter):
    """Renders a record for a person's eyes."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        fields = (f"{name}={json.dumps(value)}" for name, value in _fields(record).items())
        return " ".join((super().formatMessage(record), *fields))


def _time(record: logging.LogRecord) -> str:
    return rfc3339(datetime.fromtimestamp(record.created, UTC))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def configure(settings: Settings) -> None:
    """Send all logs of the process to standard error in one format."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else TextLines())
    # What no line shows need not be found out for each: logging's own documentation has the list.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Each request has its own line from the middleware; uvicorn's would be a second one.
    logging.getLogger("uvicorn.access").disabled = True
