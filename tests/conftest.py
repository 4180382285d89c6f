"""Stores and servers that the tests share."""

from collections.abc import Iterator

import pytest

from api.main import create_app
from tests.support import builders, doors, dynamodb_local, processes
from tests.support.faults import Fault, FaultProxy
from tests.support.presence import absent
from tests.support.server import serving

pytest_plugins = ["tests.support.summary"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tell schemathesis' operations apart: it puts them into the names, pytest 9.2 reads no names.

    Of tests with one id, workers would run one alone.
    """
    if (operation := getattr(item, "operation_label", None)) and item.id.params is None:
        item._id = item.id.with_params(operation)


@pytest.fixture
def anyio_backend() -> str:
    """The loop that asynchronous tests run on: the one that the app has."""
    return "asyncio"


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of moto, in a process of its own."""
    process, url = processes.start_store()
    yield url
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="session")
def local_dynamodb() -> Iterator[str]:
    """The address of DynamoDB Local, where it can run."""
    try:
        process, url = dynamodb_local.start()
    except dynamodb_local.NotHereError as reason:
        absent(reason)
    yield url
    process.kill()
    process.wait()


@pytest.fixture(params=["moto", "local_dynamodb"])
def store(request: pytest.FixtureRequest) -> str:
    """The address of each emulator in turn: what one forgives, the other may not."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture
def client(moto: str) -> Iterator[builders.Client]:
    """A client of a fresh app with an empty table."""
    with serving(create_app(builders.settings(moto))) as url:
        yield from _ready_client(url)


@pytest.fixture(scope="module")
def served(moto: str) -> Iterator[builders.Client]:
    """A client of one app for all tests of a module that do not mind each other."""
    with serving(create_app(builders.settings(moto))) as url:
        yield from _ready_client(url)


@pytest.fixture
def any_client(store: str) -> Iterator[builders.Client]:
    """The same on each emulator."""
    with serving(create_app(builders.settings(store))) as url:
        yield from _ready_client(url)


@pytest.fixture
def storeless_client() -> Iterator[builders.Client]:
    """A client of an app whose store is not there."""
    app = create_app(builders.settings("http://127.0.0.1:9"))
    with serving(app) as url, builders.Client(base_url=url) as client:
        yield client


@pytest.fixture
def contended_client(moto: str) -> Iterator[builders.Client]:
    """A client of an app whose transactions always meet others."""
    with (
        FaultProxy(moto, plan=_in_every_transaction) as proxy,
        serving(create_app(builders.settings(proxy.url))) as url,
    ):
        yield from _ready_client(url)


@pytest.fixture
def guarded_client(moto: str) -> Iterator[builders.Client]:
    """A client of an app that asks for keys, of which each may make a request a second."""
    with doors.door(moto, rate_limit=1) as door:
        yield door.client


def _in_every_transaction(operation: str) -> Fault | None:
    return Fault.CONFLICT if operation == "TransactWriteItems" else None


def _ready_client(url: str) -> Iterator[builders.Client]:
    with builders.Client(base_url=url) as client:
        while client.get("/readyz").status_code != 200:
            pass
        yield client
