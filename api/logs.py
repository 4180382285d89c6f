"""Logs: one JSON object per line for machines, readable lines on a terminal."""

import json
import logging
import sys
import time
from typing import Any

from pydantic_core import to_json

from api.settings import Settings

# Polled every few seconds: on a terminal, their lines would hide the others.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON, whatever its values contain."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"logger": record.name, **getattr(record, "fields", {})}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json_line(record.levelname.lower(), record.getMessage(), fields)


class TextLines(logging.Formatter):
    """Formats a record for people, with its traceback below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        fields = getattr(record, "fields", {})
        return text_line(record.levelname.lower(), record.getMessage(), fields)


class RequestLog:
    """Writes one line for each request.

    It bypasses the logging module, which would take a fifth of a request's time
    (docs/performance.md).
    """

    def __init__(self, settings: Settings) -> None:
        is_json = _wants_json(settings)
        self._line = request_line if is_json else text_line
        self._left_out = frozenset() if is_json else PROBES

    def write(self, fields: dict[str, Any]) -> None:
        if fields.get("route") not in self._left_out:
            sys.stderr.write(self._line("info", "request", fields) + "\n")


def configure(settings: Settings) -> None:
    """Write all other logs of the process to standard error in the same format."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if _wants_json(settings) else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def json_line(level: str, message: str, fields: dict[str, Any]) -> str:
    return json.dumps(_line(level, message) | fields)


def request_line(level: str, message: str, fields: dict[str, Any]) -> str:
    """Write JSON faster than `json_line`; it would fail on lone surrogates."""
    return to_json(_line(level, message) | fields).decode()


def text_line(level: str, message: str, fields: dict[str, Any]) -> str:
    shown = "".join(f" {name}={json.dumps(value)}" for name, value in fields.items())
    return f"{time.strftime('%H:%M:%S')} {level:7} {message}{shown}"


def _line(level: str, message: str) -> dict[str, Any]:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return {"time": f"{stamp}.{int(now % 1 * 1000):03}Z", "level": level, "message": message}


def _wants_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not sys.stderr.isatty()
    return settings.log_format == "json"
