"""The task service without HTTP, for tests that reach into its calls to DynamoDB."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from api.changes.service import ChangesService
from api.clock import Clock, system_clock
from api.comments.service import CommentService
from api.dynamodb.transport import Transport
from api.http.etags import Match
from api.main import create_app, transport_for
from api.settings import Settings
from api.tasks.bulk import BulkService
from api.tasks.repository import TaskRepository
from api.tasks.service import TaskService
from tests.support.builders import settings

WORKSPACE = "default"
ANY = Match(frozenset(), any_revision=True)
WRITES = (b".PutItem", b".UpdateItem", b".TransactWriteItems")

MakeTransport = Callable[[Settings], Transport]


class Service:
    """The parts of an app below HTTP, with a table of its own."""

    def __init__(
        self,
        endpoint: str,
        make_transport: MakeTransport = transport_for,
        clock: Clock = system_clock,
    ) -> None:
        self.settings = settings(endpoint)
        self.transport = make_transport(self.settings)
        app = create_app(self.settings, transport=self.transport, clock=clock)
        self.repository: TaskRepository = app.state.repository
        self.tasks: TaskService = app.state.tasks
        self.bulks: BulkService = app.state.bulks
        self.comments: CommentService = app.state.comments
        self.feed: ChangesService = app.state.changes
        self.metrics = app.state.metrics

    @classmethod
    @asynccontextmanager
    async def at(
        cls,
        endpoint: str,
        make_transport: MakeTransport = transport_for,
        clock: Clock = system_clock,
    ) -> AsyncIterator[Self]:
        service = cls(endpoint, make_transport, clock)
        await service.repository.create_table()
        yield service
        service.transport.close()

    @property
    def http(self) -> Any:
        """The transport's HTTP client, whose `send` a test may replace."""
        return self.transport._http  # type: ignore[attr-defined]


def is_write(request: bytes) -> bool:
    return any(write in request for write in WRITES)
