"""Attacks in full size: who is served beside them, and what they cost in memory.

Beside each flood, another tenant with its own key and address sends ten requests a second.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from api import key_format
from api.local.processes import ROOT
from tests.bench import bench
from tests.load import report
from tests.load.flood import TRAILERS, UNFINISHED
from tests.load.load_processes import Api, Probe
from tests.support.ports import free_port
from tests.support.wait import wait_until

# The first is the tenant's.
KEYS = [key_format.generate(f"01ARZ3NDEKTSV4RRFFQ69G5{number:03}") for number in range(28)]
TENANT_KEY = KEYS[0]
SECONDS = 5
START_SECONDS = 20
TENANT_RATE = 10
# A later response does not serve the tenant.
TENANT_TIMEOUT_SECONDS = 2
TENANT_ADDRESS = "127.0.2.1"
MIB = 2**20
# The API container's share of the ECS task's memory at the default size.
CONTAINER_MIB = 1024 - 384 - 64
MAX_TRAILERS_MIB = 10
MAX_LIVEZ_SECONDS = 0.25


@contextmanager
def api_on(endpoint: str, logs: Path, **environment: str) -> Iterator[Api]:
    """Run the API with AUTH=on and the shipped limits in a process of its own."""
    port = free_port()
    settings = {
        "PORT": str(port),
        "DYNAMODB_ENDPOINT": endpoint,
        "CURSOR_SECRET": "x" * 40,
        # The store has no record of the workspaces.
        "BACKLOG": "off",
        "LOG_FORMAT": "json",
        **environment,
    }
    command = [sys.executable, "-m", "api"]
    with bench.started(command, logs / "api.log", **settings) as process:
        api = Api(process.pid, f"http://127.0.0.1:{port}", logs)
        wait_until(lambda: _is_ready(api.url), START_SECONDS)
        yield api


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def store_of(module: str, *arguments: str, logs: Path) -> Iterator[str]:
    """Run a store that responds at once, and yield its URL."""
    command = [sys.executable, "-m", module, *arguments]
    with bench.started(command, logs / "store.log") as store:
        assert store.stdout
        yield f"http://127.0.0.1:{store.stdout.readline().strip()}"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    logs = tmp_path_factory.mktemp("logs")
    with (
        store_of("tests.bench.stub", "0", ",".join(KEYS), logs=logs) as endpoint,
        api_on(endpoint, logs) as api,
    ):
        yield api


@contextmanager
def peak_of(api: Api) -> Iterator[list[float]]:
    """Yield a list that afterwards holds the growth of the peak memory in MiB, and the peak."""
    found: list[float] = []
    Path(f"/proc/{api.pid}/clear_refs").write_text("5")
    before = api.resident_bytes
    yield found
    status = Path(f"/proc/{api.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    found.extend([(peak - before) / MIB, peak / MIB])


class Tenant(NamedTuple):
    """How many of the tenant's requests were sent and served."""

    sent: int
    served: int

    @property
    def share(self) -> float:
        return self.served / self.sent


def tenant_beside(api: Api, key: str, seconds: float) -> Tenant:
    transport = httpx.HTTPTransport(local_address=TENANT_ADDRESS)
    headers = {"Authorization": f"Bearer {key}"}
    sent = served = 0
    ends = time.monotonic() + seconds
    with httpx.Client(
        base_url=api.url,
        headers=headers,
        transport=transport,
        timeout=TENANT_TIMEOUT_SECONDS,
        trust_env=False,
    ) as client:
        while (now := time.monotonic()) < ends:
            sent += 1
            with suppress(httpx.TransportError):
                served += client.get("/v1/tasks?limit=1").status_code == 200
            time.sleep(max(now + 1 / TENANT_RATE - time.monotonic(), 0))
    return Tenant(sent, served)


def flood(api: Api, kind: str, *keys: str, seconds: float = SECONDS) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.load.flood", str(api.port), kind, str(seconds), *keys]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def measure(api: Api, kind: str, *keys: str, name: str = "") -> report.Flood:
    """Run a flood with a tenant beside it."""
    with peak_of(api) as memory, Probe(api, "/livez") as livez:
        process = flood(api, kind, *keys)
        time.sleep(0.5)
        tenant = tenant_beside(api, TENANT_KEY, SECONDS - 1)
        output, _ = process.communicate(timeout=6 * SECONDS)
    seen: dict[str, Any] = json.loads(output)
    statuses = sum(count for status, count in seen.items() if status.isdigit())
    found = report.Flood(
        name=name or kind,
        sent=statuses or seen.get("held", 0) or seen.get("reconnected", 0),
        tenant_share=tenant.share,
        growth_mib=memory[0],
        livez_seconds=max(livez.seconds),
    )
    report.add("floods", found)
    return found


@pytest.mark.parametrize("kind", ["/v1/tasks", "/openapi.json", "/livez"])
def test_requests_without_a_key_do_not_shut_out_a_tenant(api: Api, kind: str) -> None:
    found = measure(api, kind, name=f"without a key: `GET {kind}`")
    assert found.tenant_share >= 0.95, found


def test_a_key_over_its_rate_does_not_shut_out_a_tenant(api: Api) -> None:
    found = measure(api, "/v1/tasks", KEYS[1], name="one key over its rate")
    assert found.tenant_share >= 0.95, found


def test_idle_connections_do_not_shut_out_a_tenant(api: Api) -> None:
    """As many as there are slots, from as many addresses as that needs."""
    found = measure(api, "idle connections")
    assert found.tenant_share >= 0.95, found


@pytest.mark.parametrize("kind", TRAILERS)
def test_trailers_take_little_memory_and_time(api: Api, kind: str) -> None:
    found = measure(api, kind)
    assert found.growth_mib < MAX_TRAILERS_MIB, found
    assert found.livez_seconds < MAX_LIVEZ_SECONDS, found
    assert found.tenant_share >= 0.95, found


def test_slow_lists_of_one_workspace_do_not_shut_out_a_tenant(tmp_path: Path) -> None:
    """They are within their key's rate, but wait for the store."""
    with (
        store_of("tests.load.slow_lists", ",".join(KEYS[:2]), logs=tmp_path) as endpoint,
        api_on(endpoint, tmp_path) as api,
    ):
        found = measure(api, "slow lists", KEYS[1], name="slow lists with one key")
    assert found.tenant_share >= 0.95, found


@pytest.mark.parametrize("kind", UNFINISHED)
def test_unfinished_requests_without_a_key_fit_into_the_container(
    tmp_path: Path, kind: str
) -> None:
    with (
        store_of("tests.bench.stub", "0", logs=tmp_path) as endpoint,
        api_on(endpoint, tmp_path) as api,
        peak_of(api) as memory,
    ):
        output, _ = flood(api, kind).communicate(timeout=6 * SECONDS)
    connections = UNFINISHED[kind][0]
    report.add("memory", report.Memory(f"{kind} on {connections} connections", memory[1]))
    assert json.loads(output)["held"] >= connections
    assert memory[1] < CONTAINER_MIB


def test_unfinished_bodies_fit_into_the_container(api: Api) -> None:
    """2 500 of the largest size, with 27 keys."""
    with peak_of(api) as memory:
        output, _ = flood(api, "unfinished bodies", *KEYS[1:]).communicate(timeout=6 * SECONDS)
    held = json.loads(output)["held"]
    report.add("memory", report.Memory("2 500 unfinished bodies, 27 keys", memory[1]))
    assert held >= 2500
    assert memory[1] < CONTAINER_MIB


def test_lists_of_large_tasks_fit_into_the_container(tmp_path: Path) -> None:
    """100 lists at once of 100 tasks of 32 KB, with one key, from a store that responds at once."""
    with (
        store_of("tests.load.large_tasks", KEYS[0], logs=tmp_path) as endpoint,
        api_on(endpoint, tmp_path, RATE_LIMIT="1000", WORKSPACE_RATE_LIMIT="1000") as api,
        peak_of(api) as memory,
    ):
        process = flood(api, "/v1/tasks?limit=100", KEYS[0])
        output, _ = process.communicate(timeout=6 * SECONDS)
    statuses = json.loads(output)
    report.add("memory", report.Memory("100 lists at once of tasks of 32 KB, one key", memory[1]))
    assert statuses["200"] >= 100
    assert set(statuses) <= {"200", "503", "429", "reconnected"}
    assert memory[1] < CONTAINER_MIB
