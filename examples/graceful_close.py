"""A program that is cancelled, and cancelled again while it cleans up.

The first cancellation ends the body. The second arrives while the journal is being flushed: it does
not interrupt the flush, and the remaining resources are closed. Then the cancellation is raised,
once. Only the scope's deadline ends a clean-up that takes too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal import CloseTimeoutError, Scope


@asynccontextmanager
async def database() -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print("  the database is closed")


@asynccontextmanager
async def journal(seconds: float) -> AsyncGenerator[None]:
    """A journal that takes a while to flush."""
    try:
        yield
    finally:
        print("  flushing the journal")
        await asyncio.sleep(seconds)
        print("  the journal is flushed")


async def program(flush_seconds: float, close_timeout: float) -> None:
    async with Scope("app", close_timeout=close_timeout) as scope:
        await scope.enter(database())
        await scope.enter(journal(flush_seconds))
        await asyncio.Event().wait()  # until it is cancelled


async def stop_twice(task: asyncio.Task[None]) -> None:
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    print("  stop! now!")
    task.cancel()
    await asyncio.wait((task,))
    error = None if task.cancelled() else task.exception()
    print("  it was cancelled" if error is None else f"  {type(error).__name__}: {error}")


async def main() -> None:
    print("a flush that ends within the deadline:")
    await stop_twice(asyncio.create_task(program(flush_seconds=0.05, close_timeout=5)))
    print("a flush that does not:")
    late = asyncio.create_task(program(flush_seconds=60, close_timeout=0.05))
    await stop_twice(late)
    assert isinstance(late.exception(), CloseTimeoutError)


if __name__ == "__main__":
    asyncio.run(main())
