"""Called from asyncio as it is: no await, no thread, no executor."""

from __future__ import annotations

import asyncio

import fincache


def test_tasks_of_one_loop_share_a_cache(cache: fincache.Cache) -> None:
    """A call is one step of its task: nothing of another task comes in between, and the loop goes on."""

    async def count() -> None:
        for _ in range(50):
            before = int(cache.get("n", 0))
            assert cache.incr("n") == before + 1
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(count() for _ in range(20)))

    asyncio.run(main())
    assert cache.get("n") == b"1000"


def test_the_loop_and_its_threads_share_a_cache(cache: fincache.Cache) -> None:
    """A thread of the loop's executor has a session of its own."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, cache.incr, "n") for _ in range(100)))
        cache.incr("n")

    asyncio.run(main())
    assert cache.get("n") == b"101"
