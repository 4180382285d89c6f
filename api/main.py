"""The app, assembled in one place; nothing happens at import."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import APIRouter, FastAPI
from pynamodb.connection.table import TableConnection

from api.backlog.count import BacklogRepository
from api.backlog.lease import LeaseRepository
from api.backlog.metrics import BacklogMetrics
from api.backlog.sampler import Sampler
from api.board import routes as board_routes
from api.changes import examples as changes_examples
from api.changes import routes as changes_routes
from api.changes.service import ChangesService
from api.changes.tokens import Tokens
from api.clock import Clock, Timer, system_clock
from api.comments import examples as comment_examples
from api.comments import routes as comment_routes
from api.comments.repository import CommentRepository
from api.comments.service import CommentService
from api.cursor import Cursors
from api.dynamodb.async_transport import AsyncTransport
from api.dynamodb.connection import ITEM_OPERATIONS, OK, TransportConnection, bind, table_of
from api.dynamodb.retry import EXPECTED_ERRORS
from api.dynamodb.transport import Transport
from api.errors import InternalError, StoreUnavailable
from api.http import docs, openapi, probes, problem_handlers, problem_pages
from api.http.cors import Cors
from api.http.in_flight import InFlight
from api.http.middleware import RequestMiddleware
from api.http.readiness import Readiness
from api.http.routing import api_routes, with_head
from api.http.waits import Waits
from api.keys import examples as key_examples
from api.keys import routes as key_routes
from api.keys.authorization import Authorizer
from api.keys.repository import KeyRepository
from api.keys.service import KeyService
from api.keys.workspaces import WorkspaceRepository, Workspaces
from api.limits import LIMITS, Limits
from api.logs import RequestLog
from api.metrics import CLIENT_GONE, Metrics
from api.principal import DEFAULT_WORKSPACE
from api.settings import Settings
from api.tasks import bulk_routes, name_routes, trash_routes
from api.tasks import examples as task_examples
from api.tasks import routes as task_routes
from api.tasks.bulk import BulkService
from api.tasks.bulk_records import BulkRepository
from api.tasks.repository import TaskRepository
from api.tasks.service import TaskService
from api.tasks.table import TaskItem

ROUTERS = (
    # First, so that the path of bulks is not taken for one with a task's id.
    bulk_routes.router,
    task_routes.router,
    trash_routes.router,
    name_routes.router,
    comment_routes.router,
    changes_routes.router,
    changes_routes.stream_router,
    key_routes.router,
    probes.router,
    problem_pages.router,
    probes.scraped_router,
)
# Long responses and scrapes: a function has neither.
SERVER_ONLY = (changes_routes.stream_router, probes.scraped_router)
EXAMPLES = (
    task_examples.EXAMPLES
    | comment_examples.EXAMPLES
    | changes_examples.EXAMPLES
    | key_examples.EXAMPLES
    | probes.EXAMPLES
)
CREATE_TABLE_RETRY_SECONDS = 1
# A local store usually has its table before the first request; start-up waits no longer than this.
CREATE_TABLE_SECONDS = 2


def create_app(  # noqa: PLR0913 - all but the settings by name
    settings: Settings,
    *,
    transport: Transport | None = None,
    clock: Clock = system_clock,
    timer: Timer = time.monotonic,
    as_function: bool = False,
    limits: Limits = LIMITS,
) -> FastAPI:
    """Build the app; tests and other runtimes replace the keyword arguments.

    A function has no /metrics, and no backlog to show there; and no request waits for a change,
    because it has one at a time.
    """
    app = FastAPI(
        title="Task Tracker",
        version=settings.build,
        lifespan=_lifespan,
        # Served by http.docs instead, without FastAPI's CDN.
        docs_url=None,
        openapi_url="/openapi.json" if settings.docs == "on" else None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
    )
    app.state.settings = settings
    app.state.limits = limits
    app.state.log = RequestLog(settings)
    app.state.in_flight = InFlight(limits.in_flight, limits.in_flight_each)
    app.state.origins = frozenset((settings.cors_origins or "").split())
    app.state.metrics = metrics = Metrics(settings.build)
    metrics.set_limits(settings.task_vcpus, settings.task_memory_bytes)
    app.state.waits = None if as_function else Waits(metrics, app.state.in_flight, limits)
    counts_backlog = not as_function and settings.backlog == "on"
    transport = transport or transport_for(settings)
    _add_services(app, transport, clock, timer, counts_backlog=counts_backlog)
    _add_http(app, list(_routers(settings, as_function=as_function)))
    return app


def _routers(settings: Settings, *, as_function: bool) -> Iterator[APIRouter]:
    yield from (each for each in ROUTERS if not (as_function and each in SERVER_ONLY))
    if settings.board == "on":
        yield board_routes.router


def transport_for(settings: Settings) -> AsyncTransport:
    """Return the transport to the configured DynamoDB."""
    endpoint = settings.dynamodb_endpoint
    return AsyncTransport(settings.aws_region, str(endpoint) if endpoint else None)


def _add_services(
    app: FastAPI, transport: Transport, clock: Clock, timer: Timer, *, counts_backlog: bool
) -> None:
    settings, metrics = app.state.settings, app.state.metrics
    metrics.initialise_calls(ITEM_OPERATIONS, OK, EXPECTED_ERRORS)
    connection = TransportConnection(transport, metrics.observe_call, settings.aws_region)
    model = bind(TaskItem, settings.table_name, connection)
    table = table_of(model)
    cursors = Cursors(settings.cursor_secret.get_secret_value())
    app.state.repository = repository = TaskRepository(model, transport)
    app.state.readiness = Readiness(repository.ping, timer)
    limits = app.state.limits
    app.state.tasks = tasks = TaskService(repository, cursors, metrics, clock, limits.lists)
    bulks = BulkRepository(table, transport)
    app.state.bulks = BulkService(tasks, bulks, metrics, clock, limits.bulk_items)
    comments = CommentRepository(table, transport)
    app.state.comments = CommentService(comments, tasks, cursors, clock)
    tokens = Tokens(cursors, clock)
    app.state.changes = ChangesService(repository, tasks.lists, tokens, clock)
    workspaces = WorkspaceRepository(table, transport)
    app.state.keys = KeyService(
        KeyRepository(table, transport),
        Workspaces(workspaces, notes_uses=counts_backlog),
        cursors,
        metrics,
        clock,
    )
    app.state.authorizer = Authorizer(settings, app.state.keys, metrics, timer)
    app.state.sampler = None
    if counts_backlog:
        app.state.sampler = _sampler(app, table, transport, workspaces, clock)


def _sampler(
    app: FastAPI,
    table: TableConnection,
    transport: Transport,
    workspaces: WorkspaceRepository,
    clock: Clock,
) -> Sampler:
    return Sampler(
        lease=LeaseRepository(table, transport),
        workspaces=workspaces,
        tasks=BacklogRepository(table, transport),
        metrics=BacklogMetrics(app.state.metrics.registry, clock),
        clock=clock,
        always=frozenset({DEFAULT_WORKSPACE} if app.state.settings.auth == "off" else ()),
    )


def _add_http(app: FastAPI, routers: list[APIRouter]) -> None:
    settings = app.state.settings
    app.state.documented_methods = _documented_methods(routers)
    problem_handlers.install(app)
    for router in routers:
        app.include_router(router)
    _initialise_series(app.state.metrics, routers)
    if settings.docs == "on":
        docs.install(app)
    if app.state.origins:
        app.add_middleware(Cors, origins=app.state.origins)
    app.add_middleware(
        RequestMiddleware,
        metrics=app.state.metrics,
        log=app.state.log,
        in_flight=app.state.in_flight,
        origins=app.state.origins,
        trusted_hops=settings.trusted_hops,
        base_path=settings.base_path or "",
        limits=app.state.limits,
    )
    app.openapi = partial(openapi.document, app, EXAMPLES)  # type: ignore[method-assign] # FastAPI's documented way


def _documented_methods(routers: list[APIRouter]) -> dict[str, set[str]]:
    """Return the methods of each path of the OpenAPI document, which takes long to make."""
    methods: dict[str, set[str]] = {}
    for route in api_routes(routers):
        if route.include_in_schema:
            methods.setdefault(route.path, set()).update(route.methods or ())
    return methods


def _initialise_series(metrics: Metrics, routers: list[APIRouter]) -> None:
    for route in api_routes(routers):
        statuses = {int(status) for status in route.responses}
        statuses |= {route.status_code or 200, InternalError.status, int(CLIENT_GONE)}
        for method in with_head(route.methods or set()):
            metrics.initialise_requests(method, route.path, sorted(statuses))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Objects made at start-up live as long as the process: full collections need not visit them.
    gc.collect()
    gc.freeze()
    creating = asyncio.create_task(_create_local_table(app))
    await asyncio.wait({creating}, timeout=CREATE_TABLE_SECONDS)
    sampling = asyncio.create_task(_sample_backlog(app, creating))
    yield
    for task in (creating, sampling):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    app.state.repository.transport.close()


async def _create_local_table(app: FastAPI) -> None:
    """Create the table as soon as a local store responds; on AWS, Terraform owns it."""
    while app.state.settings.dynamodb_endpoint:
        try:
            await app.state.repository.create_table()
        except StoreUnavailable:
            await asyncio.sleep(CREATE_TABLE_RETRY_SECONDS)
        else:
            break


async def _sample_backlog(app: FastAPI, creating: asyncio.Task[None]) -> None:
    """Count the backlog from the time on when there is a table."""
    await asyncio.wait({creating})
    if app.state.sampler:
        await app.state.sampler.run()
