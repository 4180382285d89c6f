"""Logs: one JSON object a line for machines, readable lines on a terminal."""

import json
import logging
import sys
import time
from typing import Any

from api.settings import Settings


class JsonLines(logging.Formatter):
    """Renders a record as one JSON object; whatever a value holds, it stays one line."""

    def format(self, record: logging.LogRecord) -> str:
        return json_line(record.levelname.lower(), record.getMessage(), self._fields(record))

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = {"logger": record.name, **_extra(record)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return fields


class TextLines(logging.Formatter):
    """Renders a record for a person's eyes, its traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return text_line(record.levelname.lower(), record.getMessage(), _extra(record))


class RequestLog:
    """Writes the one line that each request has.

    It goes past the logging module, which would take a fifth of the time of a request for it
    (docs/performance.md).
    """

    def __init__(self, settings: Settings) -> None:
        self._line = json_line if _wants_json(settings) else text_line

    def write(self, fields: dict[str, Any]) -> None:
        sys.stderr.write(self._line("info", "request", fields) + "\n")


def configure(settings: Settings) -> None:
    """Send all other logs of the process to standard error in the same format."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if _wants_json(settings) else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def json_line(level: str, message: str, fields: dict[str, Any]) -> str:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    line = {"time": f"{stamp}.{int(now % 1 * 1000):03}Z", "level": level, "message": message}
    return json.dumps(line | fields)


def text_line(level: str, message: str, fields: dict[str, Any]) -> str:
    shown = "".join(f" {name}={json.dumps(value)}" for name, value in fields.items())
    return f"{time.strftime('%H:%M:%S')} {level:7} {message}{shown}"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _wants_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not sys.stderr.isatty()
    return settings.log_format == "json"
