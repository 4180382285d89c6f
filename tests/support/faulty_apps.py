"""An app whose calls meet faults, and one on the same table that shows what they have done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from fastapi import FastAPI

from api.dynamodb import retry
from api.main import create_app
from tests.support.builders import settings
from tests.support.faults import Fault, FaultProxy

# The client's time-out in these tests; the silent faults take all of it.
READ_SECONDS = 0.15
# Whether a write is executed if all three attempts meet the fault.
EXECUTED = {Fault.LOST, Fault.CUT, Fault.SILENT, Fault.LATE, Fault.ERROR_AFTER}
NOT_EXECUTED = {Fault.ERROR_BEFORE, Fault.REFUSED, Fault.THROTTLED, Fault.CONFLICT}
# The faults after which the outcome is known.
KNOWN = {Fault.THROTTLED, Fault.CONFLICT}


class FaultyApps(NamedTuple):
    """A proxy with a plan of faults, the app behind it, and one beside it."""

    proxy: FaultProxy
    proxied: FastAPI
    direct: FastAPI


@asynccontextmanager
async def faulty_apps(store: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultyApps]:
    config = settings(store)
    with FaultProxy(store) as proxy:
        proxied = create_app(settings(proxy.url, table_name=config.table_name))
        direct = create_app(config)
        await direct.state.repository.create_table()
        # Only now, because DynamoDB Local can take longer to create a table.
        monkeypatch.setattr(retry, "READ_SECONDS", READ_SECONDS)
        monkeypatch.setattr(retry, "BACKOFF_SECONDS", 0.001)
        # More calls fail here than the retry budget allows.
        monkeypatch.setattr(retry, "RETRY_COST", 0)
        yield FaultyApps(proxy, proxied, direct)
        for app in (proxied, direct):
            app.state.repository.transport.close()
