"""Lists wait for their own workspace first, so that one workspace cannot occupy all slots."""

import asyncio

import pytest

from api.tasks.fair_semaphore import FairSemaphore


@pytest.mark.anyio
async def test_a_name_gets_a_quarter_and_others_are_admitted_meanwhile() -> None:
    semaphore, admitted, finish = FairSemaphore(8), list[str](), asyncio.Event()

    async def hold(name: str) -> None:
        async with semaphore.admit(name):
            admitted.append(name)
            await finish.wait()

    async with asyncio.TaskGroup() as group:
        for name in ["greedy"] * 5 + ["other"]:
            group.create_task(hold(name))
        await asyncio.sleep(0.01)
        assert admitted == ["greedy", "greedy", "other"]
        finish.set()
    assert sorted(admitted) == ["greedy"] * 5 + ["other"]


@pytest.mark.anyio
async def test_all_names_together_get_the_limit() -> None:
    semaphore, inside, most = FairSemaphore(4), 0, 0

    async def enter(name: str) -> None:
        nonlocal inside, most
        async with semaphore.admit(name):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter(f"workspace {number}") for number in range(12)))
    assert most == 4
