"""A Lambda function: an event in, an answer out, and what it measured on standard output."""

import asyncio
import json
import logging
import os
from contextlib import suppress
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.types import ASGI, LambdaEvent, LambdaHandler
from starlette.types import Message, Receive, Scope, Send

from api import errors, problem_json
from api.main import create_app
from api.settings import Settings
from handlers import emf, events

# Who calls on a schedule, which is how a function is kept warm.
SCHEDULER = "aws.events"

logger = logging.getLogger(__name__)


class UnreadableEventError(Exception):
    """An event that is no request, or not a whole one."""


class Function(Mangum):
    """The app, made once for each container and then called with one event at a time."""

    def __init__(self, settings: Settings) -> None:
        # Mangum asks for the current loop, which newer Pythons do not make unasked.
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        app = create_app(settings, scraped=False)
        types = [*DEFAULT_TEXT_MIME_TYPES, problem_json.MEDIA_TYPE]
        # With a lifespan Mangum would start and stop the app around every event.
        super().__init__(_with_bodiless_heads(app), "off", text_mime_types=types)
        # The app writes a line for each request; this one would have its path.
        logging.getLogger("mangum.http").setLevel(logging.WARNING)
        name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
        self.exporter = emf.Exporter(app.state.metrics.registry, name)
        self.repository = app.state.repository
        self._start(settings)

    def infer(self, event: LambdaEvent, context: Any) -> LambdaHandler:
        try:
            return events.read(event, context, self.config)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UnreadableEventError from error

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer an event, whatever it is; the app's own failures are answers, too."""
        try:
            return self._answer(event, context)
        finally:
            self.exporter.flush()

    def _answer(self, event: Any, context: Any) -> dict[str, Any]:
        if isinstance(event, dict) and event.get("source") == SCHEDULER:
            return {"warm": True}
        asyncio.set_event_loop(self.loop)
        try:
            return super().__call__(event, context)
        except UnreadableEventError as error:
            # Not what was in it: that may be secret.
            fields = {"error": type(error.__cause__).__name__}
            logger.warning("the event is no HTTP request", extra={"fields": fields})
            return _refusal(context)

    def _start(self, settings: Settings) -> None:
        """Make a local table, of all that a server does at start-up.

        Series that begin at 0 say nothing in CloudWatch.
        """
        if settings.dynamodb_endpoint:
            with suppress(errors.StoreUnavailable):
                self.loop.run_until_complete(self.repository.create_table())


def _with_bodiless_heads(app: ASGI) -> ASGI:
    """Do what every HTTP server does: the answer to a HEAD has no body."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        await app(scope, receive, send_head if scope["method"] == "HEAD" else send)

    return answer


def _refusal(context: Any) -> dict[str, Any]:
    """Answer like the app: an error would make Lambda try the same event again."""
    problem = {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "The event is not a whole request of an HTTP API, a REST API, a function URL or "
        "an application load balancer.",
        "request_id": getattr(context, "aws_request_id", "unknown"),
    }
    return {
        "statusCode": 400,
        "headers": {"content-type": problem_json.MEDIA_TYPE},
        "body": json.dumps(problem),
        "isBase64Encoded": False,
    }
