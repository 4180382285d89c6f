"""Counts the backlog every five minutes, in one process of all that serve a table."""

import asyncio
import logging
import os
from contextlib import suppress

from api.backlog.count import BacklogRepository, count
from api.backlog.lease import LeaseRepository
from api.backlog.metrics import BacklogMetrics
from api.clock import Clock
from api.keys.workspaces import MAX_WORKSPACES, WorkspaceRepository
from api.problem import Problem
from api.values import rfc3339

INTERVAL_SECONDS = 300
# Without the lease, or after a failure.
RETRY_SECONDS = 60
# Together with the interval less than the lease.
ROUND_SECONDS = 30
RELEASE_SECONDS = 1

logger = logging.getLogger(__name__)


class Sampler:
    """Runs as a task of the server's lifespan; what fails in it never ends the server."""

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        lease: LeaseRepository,
        workspaces: WorkspaceRepository,
        tasks: BacklogRepository,
        metrics: BacklogMetrics,
        clock: Clock,
        always: frozenset[str],
    ) -> None:
        self._lease = lease
        self._workspaces = workspaces
        self._tasks = tasks
        self._metrics = metrics
        self._clock = clock
        # The workspaces that exist without a key.
        self._always = always
        self._holder = os.urandom(8).hex()

    async def run(self) -> None:
        """Count until this is cancelled, and then let another process go on."""
        try:
            while True:  # noqa: ASYNC110 - it waits for the time itself
                await asyncio.sleep(await self.round())
        finally:
            await self._release()

    async def round(self) -> float:
        """Count once if no other process does; return the seconds until the next round."""
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                counted = await self._count()
        except (Problem, TimeoutError) as error:
            self._metrics.rounds.labels("failed").inc()
            fields = {"error": type(error).__name__}
            logger.warning("backlog not counted", extra={"fields": fields})
            return RETRY_SECONDS
        except Exception:
            self._metrics.rounds.labels("failed").inc()
            logger.exception("backlog not counted")
            return RETRY_SECONDS
        self._metrics.rounds.labels("counted" if counted else "standby").inc()
        return INTERVAL_SECONDS if counted else RETRY_SECONDS

    async def _count(self) -> bool:
        """Return whether this process has the lease."""
        now = self._clock()
        until = await self._lease.acquire(self._holder, now)
        if until is None:
            self._metrics.withdraw()
            return False
        known = await self._workspaces.read()
        backlog = await count(self._tasks, sorted(known | self._always), rfc3339(now))
        # There may be workspaces that found no place.
        backlog.complete = backlog.complete and len(known) < MAX_WORKSPACES
        self._metrics.publish(backlog, until)
        return True

    async def _release(self) -> None:
        self._metrics.withdraw()
        with suppress(Problem, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._lease.release(self._holder)
