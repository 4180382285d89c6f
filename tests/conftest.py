"""Stores and servers that the tests share."""

import signal
from collections.abc import Iterator

import hypothesis
import pytest

from api.local import processes
from api.main import create_app
from tests.support import builders, dynamodb_local, secured_app
from tests.support.faults import Contention, FaultProxy
from tests.support.server import serving
from tests.support.wait import wait_until

pytest_plugins = ["tests.support.summary"]
# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")
START_STOP_SECONDS = 10
# A shell lets what it runs in the background ignore Ctrl-C, and so would the programs under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give each operation that schemathesis tests an id of its own.

    schemathesis distinguishes them by name only, which pytest 9.2 ignores. Of several tests with
    the same id, pytest-xdist would run one.
    """
    if (operation := getattr(item, "operation_label", None)) and item.id.params is None:
        item._id = item.id.with_params(operation)


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the app does."""
    return "asyncio"


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The URL of moto, in a process of its own."""
    with pytest.MonkeyPatch.context() as environment:
        # Measured by coverage, moto would take twice as long. tests/local covers the store.
        environment.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        process, url = processes.start_store()
    yield url
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    process.wait(START_STOP_SECONDS)
    process.stdout.close()


@pytest.fixture(scope="session")
def local_dynamodb() -> Iterator[str]:
    """The URL of DynamoDB Local, if it can run here."""
    with dynamodb_local.running() as url:
        yield url


@pytest.fixture(params=["moto", "local_dynamodb"])
def store(request: pytest.FixtureRequest) -> str:
    """The URL of each emulator in turn, because each accepts some calls that DynamoDB refuses."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def fault_proxy(moto: str) -> Iterator[FaultProxy]:
    """A proxy in front of moto, which passes every call on until it gets a plan."""
    with FaultProxy(moto) as proxy:
        yield proxy


@pytest.fixture
def client(moto: str) -> Iterator[builders.Client]:
    """A client of a fresh app with an empty table."""
    with serving(create_app(builders.settings(moto))) as url:
        yield from _ready_client(url)


@pytest.fixture(scope="module")
def served(moto: str) -> Iterator[builders.Client]:
    """A client of one app and table that all tests of a module share."""
    with serving(create_app(builders.settings(moto))) as url:
        yield from _ready_client(url)


@pytest.fixture
def any_client(store: str) -> Iterator[builders.Client]:
    """A client of a fresh app with an empty table, on each emulator."""
    with serving(create_app(builders.settings(store))) as url:
        yield from _ready_client(url)


@pytest.fixture
def storeless_client() -> Iterator[builders.Client]:
    """A client of an app whose store cannot be reached."""
    app = create_app(builders.settings("http://127.0.0.1:9"))
    with serving(app) as url, builders.Client(base_url=url) as client:
        yield client


@pytest.fixture
def contended_client(moto: str) -> Iterator[builders.Client]:
    """A client of an app whose transactions always conflict with others."""
    yield from _contended(moto, Contention())


@pytest.fixture
def once_contended_client(moto: str) -> Iterator[builders.Client]:
    """A client of an app whose transactions conflict with others, except for the first one."""
    yield from _contended(moto, Contention(after=1))


@pytest.fixture
def guarded_client(moto: str) -> Iterator[builders.Client]:
    """A client without a key, of an app that requires keys and allows each one request a second."""
    with secured_app.serve(moto, rate_limit=1) as secured:
        yield secured.client


def _contended(moto: str, contention: Contention) -> Iterator[builders.Client]:
    with (
        FaultProxy(moto, plan=contention) as proxy,
        serving(create_app(builders.settings(proxy.url))) as url,
    ):
        yield from _ready_client(url)


def _ready_client(url: str) -> Iterator[builders.Client]:
    with builders.Client(base_url=url) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200, START_STOP_SECONDS)
        yield client
