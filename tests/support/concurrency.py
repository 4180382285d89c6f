"""Another client's writes at the worst moment."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from api.tasks.change_models import TaskChange
from tests.support.service import ANY, WORKSPACE, Service, is_write

THEIRS = TaskChange(title="Theirs")


@contextmanager
def contention(
    service: Service, task_id: str, times: int, theirs: TaskChange = THEIRS
) -> Iterator[None]:
    """Let another client change the task just before each of the next writes."""
    original, left = service.http.send, times

    async def send(request: bytes, seconds: float) -> Any:
        nonlocal left
        if left and is_write(request):
            left -= 1
            with patch.object(service.http, "send", original):
                await service.tasks.change(WORKSPACE, task_id, ANY, theirs)
        return await original(request, seconds)

    with patch.object(service.http, "send", send):
        yield
    assert left == 0


@contextmanager
def before_call(
    service: Service,
    operation: bytes,
    meanwhile: Callable[[], Awaitable[object]],
    *,
    number: int = 1,
) -> Iterator[None]:
    """Run requests of others just before the n-th call of an operation."""
    original, left = service.http.send, number

    async def send(request: bytes, seconds: float) -> Any:
        nonlocal left
        left -= b"." + operation in request
        if left == 0:
            left -= 1
            with patch.object(service.http, "send", original):
                await meanwhile()
        return await original(request, seconds)

    with patch.object(service.http, "send", send):
        yield
    assert left < 0
