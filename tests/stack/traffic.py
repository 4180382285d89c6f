"""Traffic of a known kind, and what its sender saw of it."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.support import stack
from tests.support.builders import MERGE_PATCH

PER_SECOND = 20
TASKS = "/v1/tasks"
TASK = "/v1/tasks/{task_id}"
NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Traffic:
    """Sends requests in a fixed order, whatever becomes of them, and notes what does.

    In a dozen there are two tasks created, one of them done, five read, two lists, a move, a task
    that is not there, and one that is not valid.
    """

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str, int]] = Counter()
        self.seconds: list[float] = []
        self.ended: list[float] = []
        # Each is legal for a new task.
        self._moves = itertools.cycle(["done", "in_progress", "cancelled"])
        self._task = NOWHERE

    async def send(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Send for so long, or until something is the case; end when all is answered."""
        address = f"http://127.0.0.1:{stack.API}"
        async with httpx.AsyncClient(base_url=address, timeout=30) as self._client:
            begun = time.monotonic()
            kinds = itertools.cycle(self._kinds())
            async with asyncio.TaskGroup() as requests:
                for number in range(int(seconds * PER_SECOND)):
                    requests.create_task(self._noted(*next(kinds)))
                    pause = begun + number / PER_SECOND - time.monotonic()
                    await asyncio.sleep(max(0, pause))
                    if number % PER_SECOND == 0 and await asyncio.to_thread(until):
                        break

    def _kinds(self) -> list[tuple[str, Callable[[], Awaitable[httpx.Response]]]]:
        read = (TASK, self._read)
        return [
            (TASKS, self._create),
            read,
            read,
            (TASKS, self._list),
            (TASK, self._move),
            read,
            (TASK, self._read_nothing),
            (TASKS, self._create_wrongly),
            read,
            (TASKS, self._create_done),
            (TASKS, self._list),
            read,
        ]

    async def _noted(self, route: str, request: Callable[[], Awaitable[httpx.Response]]) -> None:
        began = time.monotonic()
        response = await request()
        took = time.monotonic() - began
        self.answers[response.request.method, route, response.status_code] += 1
        self.ended.append(time.time())
        if route == TASK:
            self.seconds.append(took)

    async def _create(self) -> httpx.Response:
        response = await self._client.post(TASKS, json={"title": "Counted"})
        self._task = response.json().get("id", self._task)
        return response

    async def _create_done(self) -> httpx.Response:
        return await self._client.post(TASKS, json={"title": "Counted", "status": "done"})

    async def _create_wrongly(self) -> httpx.Response:
        return await self._client.post(TASKS, json={"name": "No title"})

    async def _read(self) -> httpx.Response:
        return await self._client.get(f"{TASKS}/{self._task}")

    async def _read_nothing(self) -> httpx.Response:
        return await self._client.get(f"{TASKS}/{NOWHERE}")

    async def _list(self) -> httpx.Response:
        return await self._client.get(TASKS, params={"limit": 5})

    async def _move(self) -> httpx.Response:
        headers = {"If-Match": "*", "Content-Type": MERGE_PATCH}
        change: Any = {"status": next(self._moves)}
        return await self._client.patch(f"{TASKS}/{self._task}", json=change, headers=headers)
