"""A Lambda function: an event in, a response out, and the metrics on standard output."""

import asyncio
import logging
import os
from contextlib import suppress
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.types import LambdaEvent, LambdaHandler

from api.errors import StoreUnavailable, UnreadableEvent
from api.http import problem_handlers
from api.main import create_app
from api.problem import MEDIA_TYPE
from api.settings import Settings
from handlers import emf, events

# The sources of scheduled events, which keep a function warm: EventBridge's rules and Scheduler.
SCHEDULERS = ("aws.events", "aws.scheduler")
# Mangum adds a content type to every response of payload 2.0; these have no content.
NO_CONTENT = {204, 304}

logger = logging.getLogger(__name__)


class Function(Mangum):
    """The app, created once per container and invoked with one event at a time."""

    def __init__(self, settings: Settings) -> None:
        # Mangum uses the current event loop, which newer Pythons do not create by themselves.
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        app = create_app(settings, as_function=True)
        types = [*DEFAULT_TEXT_MIME_TYPES, MEDIA_TYPE]
        # With a lifespan, Mangum would start and stop the app for every event.
        super().__init__(events.corrected(app), "off", text_mime_types=types)
        # The app logs each request itself; Mangum's line would contain the path.
        logging.getLogger("mangum.http").setLevel(logging.WARNING)
        name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
        self.exporter = emf.Exporter(app.state.metrics.registry, name)
        self.repository = app.state.repository
        if settings.dynamodb_endpoint:
            with suppress(StoreUnavailable):
                self.loop.run_until_complete(self.repository.create_table())

    def infer(self, event: LambdaEvent, context: Any) -> LambdaHandler:
        """Choose Mangum's handler for an event.

        Raises:
            UnreadableEvent: the event is not a whole HTTP request.
        """
        try:
            handler = super().infer(events.normalise(event), context)
            # Mangum reads both again later; whatever is wrong with them must fail here.
            _ = handler.scope, handler.body
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise UnreadableEvent from error
        return handler

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the response to an event; the app's failures are responses, too."""
        try:
            return self._respond(event, context)
        finally:
            self.exporter.flush()

    def _respond(self, event: Any, context: Any) -> dict[str, Any]:
        if isinstance(event, dict) and event.get("source") in SCHEDULERS:
            return {"warm": True}
        asyncio.set_event_loop(self.loop)
        try:
            response = super().__call__(event, context)
        except UnreadableEvent as problem:
            return _refusal(problem, context)
        if response["statusCode"] in NO_CONTENT:
            response.get("headers", {}).pop("content-type", None)
        return response


def _refusal(problem: UnreadableEvent, context: Any) -> dict[str, Any]:
    """Return a problem document: after an error, Lambda would retry an asynchronous event."""
    # The event itself is not logged, because it may contain a secret.
    fields = {"error": type(problem.__cause__).__name__}
    logger.warning("the event is not an HTTP request", extra={"fields": fields})
    response = problem_handlers.render(problem, getattr(context, "aws_request_id", "unknown"))
    return {
        "statusCode": response.status_code,
        "headers": dict(response.headers),
        "body": bytes(response.body).decode(),
        "isBase64Encoded": False,
    }
