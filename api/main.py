"""The app, put together in one place; nothing happens at import."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api import errors, openapi, problem_json
from api.access import Guard
from api.cursor import Cursors
from api.headers import CrossOrigin
from api.key_repository import KeyRepository
from api.keyring import KeyRing, Timer
from api.logs import RequestLog
from api.loop_wire import LoopWire
from api.metrics import CLIENT_GONE, Metrics
from api.middleware import Surroundings
from api.overload import LIMITS, Limits
from api.readiness import Readiness
from api.repository import TaskRepository
from api.routes import keys, operations, tasks
from api.service import Clock, TaskService, system_clock
from api.settings import Settings
from api.table import bind
from api.wire import Wire, WiredConnection

ROUTERS = (tasks.router, keys.router, operations.router, operations.scraped)
RETRY_TABLE_SECONDS = 1
FIRST_TABLE_SECONDS = 2


def create_app(  # noqa: PLR0913 - all but the settings by name
    settings: Settings,
    *,
    wire: Wire | None = None,
    clock: Clock = system_clock,
    timer: Timer = time.monotonic,
    scraped: bool = True,
    limits: Limits = LIMITS,
) -> FastAPI:
    """Build the app; the keyword arguments are what tests and other runtimes replace.

    Where it is not scraped there is no page of metrics.
    """
    metrics = Metrics(settings.build)
    metrics.limit(settings.task_vcpus, settings.task_memory_bytes)
    wire = wire or LoopWire(settings)
    model = bind(settings.table_name, WiredConnection(wire, metrics, settings.aws_region))
    repository = TaskRepository(model, wire)
    app = FastAPI(
        title="Task Tracker",
        version=settings.build,
        lifespan=_lifespan,
        docs_url="/docs" if settings.docs == "on" else None,
        openapi_url="/openapi.json" if settings.docs == "on" else None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.limits = limits
    app.state.log = log = RequestLog(settings)
    app.state.repository = repository
    app.state.readiness = Readiness(repository.ping, timer)
    cursors = Cursors(settings.cursor_secret.get_secret_value())
    app.state.tasks = TaskService(repository, cursors, metrics, clock)
    key_repository = KeyRepository(model._get_connection(), wire)  # noqa: SLF001 - see table.bind
    app.state.ring = KeyRing(key_repository, cursors, metrics, clock, timer)
    app.state.guard = Guard(settings, app.state.ring, metrics, timer)
    problem_json.install(app)
    for router in ROUTERS:
        if scraped or router is not operations.scraped:
            # To include them means to prepare each route a second time, with the first request.
            app.router.routes.extend(router.routes)
    if settings.cors_origins:
        app.add_middleware(CrossOrigin, origins=settings.cors_origins.split())
    app.add_middleware(
        Surroundings,
        metrics=metrics,
        log=log,
        hops=settings.trusted_hops,
        body_seconds=limits.body_seconds,
    )
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign] # FastAPI's documented way
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    for route in (route for router in ROUTERS for route in router.routes):
        _expect_requests(app.state.metrics, route)
    # What start-up made lives as long as the process: a full collection need not walk it again.
    gc.collect()
    gc.freeze()
    making = asyncio.create_task(_make_local_table(app))
    # Usually it is there before the first request; a store that is away is no reason to wait.
    await asyncio.wait({making}, timeout=FIRST_TABLE_SECONDS)
    yield
    making.cancel()
    with suppress(asyncio.CancelledError):
        await making
    app.state.repository.wire.close()


def _expect_requests(metrics: Metrics, route: BaseRoute) -> None:
    if isinstance(route, APIRoute):
        statuses = {int(status) for status in route.responses}
        statuses |= {route.status_code or 200, errors.InternalError.status, int(CLIENT_GONE)}
        for method in route.methods or ():
            metrics.expect_requests(method, route.path, sorted(statuses))


async def _make_local_table(app: FastAPI) -> None:
    """Make the table as soon as a local store answers; on AWS, Terraform owns it."""
    while app.state.settings.dynamodb_endpoint:
        try:
            await app.state.repository.create_table()
        except errors.StoreUnavailable:
            await asyncio.sleep(RETRY_TABLE_SECONDS)
        else:
            break
