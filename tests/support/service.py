"""The service without HTTP, over the event loop's wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from api.etags import Match
from api.loop_wire import LoopWire
from api.main import create_app
from api.repository import TaskRepository
from api.service import TaskService
from tests.support.builders import settings

W = "default"
ANY = Match(frozenset(), any_revision=True)


class Service:
    """The parts of an app, for tests that reach into its calls."""

    def __init__(self, endpoint: str) -> None:
        config = settings(endpoint)
        self.wire = LoopWire(config)
        app = create_app(config, wire=self.wire)
        self.repository: TaskRepository = app.state.repository
        self.tasks: TaskService = app.state.tasks
        self.metrics = app.state.metrics

    @classmethod
    @asynccontextmanager
    async def at(cls, endpoint: str) -> AsyncIterator[Self]:
        """Make a service with a table of its own."""
        service = cls(endpoint)
        await service.repository.create_table()
        yield service
        service.wire.close()

    @property
    def http(self) -> Any:
        """The client that carries its calls: what its `exchange` does, a test may replace."""
        return self.wire._http
