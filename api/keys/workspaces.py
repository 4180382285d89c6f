"""The workspaces that have API keys, in one record: no index lists them."""

import logging

from pynamodb.connection.table import TableConnection
from pynamodb.expressions.condition import size
from pynamodb.expressions.operand import Path

from api.dynamodb import store_errors
from api.dynamodb.run_on_loop import run_on_loop
from api.dynamodb.transport import Transport
from api.errors import StoreUnavailable

PRIMARY_KEY = ("workspaces", "workspaces")
# A record of 32 KB, and in a round of the backlog's half of the price.
MAX_WORKSPACES = 500

logger = logging.getLogger(__name__)


class WorkspaceRepository:
    """The record, a set of names that only grows."""

    def __init__(self, table: TableConnection, transport: Transport) -> None:
        self._table = table
        self.transport = transport

    @run_on_loop
    def read(self) -> frozenset[str]:
        item = self._table.get_item(*PRIMARY_KEY).get("Item", {})
        return frozenset(item["names"]["SS"]) if item else frozenset()

    @run_on_loop
    def add(self, workspace: str) -> None:
        """Add a name unless the record is full; safe to repeat, also at the same time."""
        names = Path("names")
        has_room = names.does_not_exist() | (size(names) < MAX_WORKSPACES)  # type: ignore[no-untyped-call]
        store_errors.condition_held(
            lambda: self._table.update_item(
                *PRIMARY_KEY, actions=[names.add({workspace})], condition=has_room
            )
        )


class Workspaces:
    """Notes each workspace once per process; no request fails because of it."""

    def __init__(self, repository: WorkspaceRepository, *, notes_uses: bool) -> None:
        self._repository = repository
        self._notes_uses = notes_uses
        self._noted: set[str] = set()

    async def note_use(self, workspace: str) -> None:
        """Add the workspace of a key that may be older than the record.

        Only where the backlog is counted: other processes need not pay for it.
        """
        if self._notes_uses:
            await self.note(workspace)

    async def note(self, workspace: str) -> None:
        """Add a workspace to the record unless it is there.

        After a failure the next key of the workspace does it.
        """
        if workspace in self._noted:
            return
        try:
            if workspace not in await self._repository.read():
                await self._repository.add(workspace)
        except StoreUnavailable:
            logger.warning("workspace not noted", extra={"fields": {"workspace": workspace}})
        else:
            self._noted.add(workspace)
