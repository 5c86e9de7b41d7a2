"""Contention: somebody else has the lock, so that a scenario waits for it, and can be cancelled.

A fast path does not suspend: a free lock is taken at once, and a cancellation never comes between.
The bugs of locks and pools are in the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from withal.audit.record import Category
from withal.audit.residue import Piece
from withal.audit.session import session

Lock: TypeAlias = AbstractAsyncContextManager[Any] | Callable[[], AbstractAsyncContextManager[Any]]

_PATIENCE = 1.0  # seconds at most that the waiter behind the scenario gets


@asynccontextmanager
async def contended(lock: Lock, *, hold: float = 0.01) -> AsyncGenerator[None]:
    """Have somebody else hold a lock, or the last slot of a pool, who lets go while others wait.

    For the setup of a scenario. The lock is held when the block is entered, and let go `hold`
    seconds later; halfway, somebody else begins to wait for it, behind the scenario. Whoever that
    is must get it in the end: a waiter that nobody wakes is found as "starvation".

    A cancellation of the block gives the lock back.

    Args:
        lock: an async context manager that can be entered many times, such as `asyncio.Lock`, or
            a callable that makes one, such as ``pool.connection``. Of a pool that has several
            slots enter this several times.
        hold: seconds; long enough for the scenario to come to its wait.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from withal.audit import audit
        >>> @asynccontextmanager
        ... async def held():
        ...     lock = asyncio.Lock()
        ...     async with contended(lock):
        ...         yield lock
        >>> async def acquire(lock):
        ...     async with lock:
        ...         pass
        >>> str(audit(acquire, setup=held, probe=acquire).verdict)
        'safe'
    """
    held = asyncio.Event()
    others = (
        asyncio.create_task(_hold(lock, held, hold), name="holds the lock"),
        asyncio.create_task(_follow(lock, hold / 2), name="waits behind"),
    )
    current = session.get()
    if current is not None:
        current.tasks.update(others)
    try:
        await held.wait()
        yield
        await _wait_for(others)
    finally:
        for task in others:
            task.cancel()
        await asyncio.wait(others)


async def _hold(lock: Lock, held: asyncio.Event, seconds: float) -> None:
    async with _manager(lock):
        held.set()
        await asyncio.sleep(seconds)


async def _follow(lock: Lock, delay: float) -> None:
    await asyncio.sleep(delay)
    async with _manager(lock):
        pass


async def _wait_for(others: tuple[asyncio.Task[None], ...]) -> None:
    current = session.get()
    patience = _PATIENCE if current is None else min(_PATIENCE, current.timeout / 2)
    _, waiting = await asyncio.wait(others, timeout=patience)
    for task in waiting:
        told = f"who {task.get_name()} has not come through within {patience:g} s"
        if current is None:
            raise TimeoutError(told)
        current.noted.append(Piece(Category.STARVATION, "contention", told))
    for task in set(others) - waiting:
        task.result()


def _manager(lock: Lock) -> AbstractAsyncContextManager[Any]:
    return lock() if callable(lock) else lock
