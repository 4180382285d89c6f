"""An app that asks for keys, and everything that a test wants to open it with."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from api import keys
from api.keys import Scope
from api.main import create_app
from tests.support import builders
from tests.support.builders import Client
from tests.support.clock import Clock
from tests.support.server import serving

BOOTSTRAP = keys.make("01ARZ3NDEKTSV4RRFFQ69G5FAV")
TASKS = (Scope.READ, Scope.WRITE)


class Timer:
    """Counts the seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Door(NamedTuple):
    """A served app with AUTH=on, its clocks, and a client that shows no key."""

    client: Client
    clock: Clock
    timer: Timer
    leaving: ExitStack

    def make(self, *scopes: Scope, workspace: str = "default", **fields: Any) -> dict[str, Any]:
        """Make a key with the bootstrap key."""
        wanted = {"label": "test", "scopes": scopes, "workspace": workspace, **fields}
        response = self.client.post("/v1/keys", json=wanted, headers=bearer(BOOTSTRAP))
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    def tenant(self, workspace: str, *scopes: Scope) -> Client:
        """Make a client of a workspace, with a key of its own."""
        made = self.make(*(scopes or TASKS), workspace=workspace)
        client = Client(base_url=self.client.base_url, headers=bearer(made["key"]))
        return self.leaving.enter_context(client)

    def metric(self, name: str, **labels: str) -> float:
        """Read one of the app's metrics."""
        wanted = "{" + ",".join(f'{label}="{text}"' for label, text in labels.items()) + "}"
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name + wanted))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def flawed(key: str) -> str:
    """Make another key of one: well-formed, and with another secret."""
    return keys.make(key.split("_")[1])


@contextmanager
def door(endpoint: str, **changes: Any) -> Iterator[Door]:
    """Serve an app that asks for keys, with a table of its own unless one is named."""
    clock, timer = Clock(), Timer()
    config = builders.settings(
        endpoint, **{"auth": "on", "bootstrap_key": BOOTSTRAP, "rate_limit": 1000, **changes}
    )
    with (
        serving(create_app(config, clock=clock, timer=timer)) as url,
        Client(base_url=url) as client,
        ExitStack() as leaving,
    ):
        while client.get("/readyz").status_code != 200:
            pass
        yield Door(client, clock, timer, leaving)
