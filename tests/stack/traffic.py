"""Traffic with known contents, and what its client observed."""

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx

from monitoring import local_stack
from tests.support.builders import MERGE_PATCH

REQUESTS_PER_SECOND = 20
TASKS = "/v1/tasks"
TASK = "/v1/tasks/{task_id}"
UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Traffic:
    """Sends requests in a fixed order and records status and latency of the responses.

    Of 12 requests 2 create a task, 1 is an invalid create, 5 read a task, 1 reads an unknown one,
    2 list and 1 changes a status.
    """

    def __init__(self) -> None:
        self.responses: Counter[tuple[str, str, int]] = Counter()
        self.task_seconds: list[float] = []
        # Each is legal for a new task.
        self._statuses = itertools.cycle(["done", "in_progress", "cancelled"])
        self._task_id = UNKNOWN_ID

    @property
    def failures(self) -> int:
        return sum(number for (_, _, status), number in self.responses.items() if status >= 500)

    async def send(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Send for some seconds, or until a condition holds, and wait for all responses."""
        address = f"http://127.0.0.1:{local_stack.api_port(os.environ)}"
        async with httpx.AsyncClient(base_url=address, timeout=30) as self._client:
            start = time.monotonic()
            requests = itertools.cycle(self._requests())
            async with asyncio.TaskGroup() as group:
                for number in range(int(seconds * REQUESTS_PER_SECOND)):
                    group.create_task(self._record(*next(requests)))
                    pause = start + number / REQUESTS_PER_SECOND - time.monotonic()
                    await asyncio.sleep(max(0, pause))
                    if number % REQUESTS_PER_SECOND == 0 and await asyncio.to_thread(until):
                        break

    def _requests(self) -> list[tuple[str, Callable[[], Awaitable[httpx.Response]]]]:
        read = (TASK, lambda: self._client.get(f"{TASKS}/{self._task_id}"))
        read_unknown = (TASK, lambda: self._client.get(f"{TASKS}/{UNKNOWN_ID}"))
        create = (TASKS, self._create)
        create_done = (TASKS, lambda: self._post({"title": "Counted", "status": "done"}))
        create_invalid = (TASKS, lambda: self._post({"name": "No title"}))
        list_tasks = (TASKS, lambda: self._client.get(TASKS, params={"limit": 5}))
        change = (TASK, self._change_status)
        first = [create, read, read, list_tasks, change, read]
        return [*first, read_unknown, create_invalid, read, create_done, list_tasks, read]

    async def _record(self, route: str, request: Callable[[], Awaitable[httpx.Response]]) -> None:
        start = time.monotonic()
        response = await request()
        seconds = time.monotonic() - start
        self.responses[response.request.method, route, response.status_code] += 1
        if route == TASK:
            self.task_seconds.append(seconds)

    async def _post(self, body: dict[str, str]) -> httpx.Response:
        return await self._client.post(TASKS, json=body)

    async def _create(self) -> httpx.Response:
        response = await self._post({"title": "Counted"})
        self._task_id = response.json().get("id", self._task_id)
        return response

    async def _change_status(self) -> httpx.Response:
        headers = {"If-Match": "*", "Content-Type": MERGE_PATCH}
        change = {"status": next(self._statuses)}
        return await self._client.patch(f"{TASKS}/{self._task_id}", json=change, headers=headers)
