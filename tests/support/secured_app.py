"""An app that requires keys, served for tests."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from api import key_format
from api.main import create_app
from api.principal import Scope
from tests.support import builders
from tests.support.builders import Client
from tests.support.clock import Clock
from tests.support.server import serving
from tests.support.wait import wait_until

BOOTSTRAP = key_format.generate("01ARZ3NDEKTSV4RRFFQ69G5FAV")
TASKS = (Scope.READ, Scope.WRITE)
READY_SECONDS = 30


class Timer:
    """A clock that moves only when a test advances it, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class SecuredApp(NamedTuple):
    """A served app with AUTH=on, its clocks, and a client that sends no key."""

    client: Client
    clock: Clock
    timer: Timer
    table_name: str
    clients: ExitStack

    def make(self, *scopes: Scope, workspace: str = "default", **fields: Any) -> dict[str, Any]:
        """Create a key with the bootstrap key."""
        wanted = {"label": "test", "scopes": scopes, "workspace": workspace, **fields}
        response = self.client.post("/v1/keys", json=wanted, headers=bearer(BOOTSTRAP))
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    def tenant(self, workspace: str, *scopes: Scope) -> Client:
        """Create a key in a workspace and return a client that sends it."""
        made = self.make(*(scopes or TASKS), workspace=workspace)
        client = Client(base_url=self.client.base_url, headers=bearer(made["key"]))
        return self.clients.enter_context(client)

    def metric(self, name: str, **labels: str) -> float:
        """Read one of the app's metrics."""
        wanted = "{" + ",".join(f'{label}="{text}"' for label, text in labels.items()) + "}"
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name + wanted))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def with_other_secret(key: str) -> str:
    """Return a well-formed key with the same id and another secret."""
    return key_format.generate(key.split("_")[1])


@contextmanager
def serve(endpoint: str, **changes: Any) -> Iterator[SecuredApp]:
    """Serve an app that requires keys, with a table of its own unless one is named."""
    clock, timer = Clock(), Timer()
    config = builders.settings(
        endpoint, **{"auth": "on", "bootstrap_key": BOOTSTRAP, "rate_limit": 1000, **changes}
    )
    with (
        serving(create_app(config, clock=clock, timer=timer)) as url,
        Client(base_url=url) as client,
        ExitStack() as clients,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200, READY_SECONDS)
        yield SecuredApp(client, clock, timer, config.table_name, clients)
