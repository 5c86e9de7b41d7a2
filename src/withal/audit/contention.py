"""Contention: somebody else has the lock, so that a scenario waits for it, and can be cancelled.

A fast path does not suspend: a free lock is taken at once, and a cancellation never comes between.
The bugs of locks and pools are in the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import CodeType
from typing import Any, TypeAlias, final

from withal.audit.injection import stack_of
from withal.audit.record import Category
from withal.audit.residue import Piece
from withal.audit.session import Session, session

Lock: TypeAlias = AbstractAsyncContextManager[Any] | Callable[[], AbstractAsyncContextManager[Any]]

_PATIENCE = 1.0  # seconds at most that the waiter behind the scenario gets
_STILL = 10  # times `hold` that a scenario waits for something else before it is taken for a waiter

UNMET = (
    "nobody waited for it: contended() held something that the scenario did not come to wait for"
)
OUT_OF_ORDER = (
    "nobody waited for it: queued() held something, and has not seen the scenario wait for it with "
    "somebody else behind"
)


@asynccontextmanager
async def contended(lock: Lock, *, hold: float = 0.01) -> AsyncGenerator[None]:
    """Have somebody else hold a lock, or the last slot of a pool, who lets go while others wait.

    For the setup of a scenario. The lock is held when the block is entered, and until the scenario
    waits for it and somebody else waits behind the scenario, in this order. If the scenario never
    comes to wait for it, the audit is unresolved. The waiter behind must get the lock in the end: a
    waiter that nobody wakes is found as "starvation".

    A cancellation of the block gives the lock back.

    Args:
        lock: an async context manager that can be entered many times, such as `asyncio.Lock`, or
            a callable that makes one, such as ``pool.connection``. Of a pool that has several
            slots enter this several times.
        hold: seconds that the scenario stands still before it counts as waiting, about; and, where
            no audit runs, seconds until the lock is let go.

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
    async with _held(_Queue(lock, hold, session.get())):
        yield


@asynccontextmanager
async def queued(lock: Lock, *, hold: float = 0.01) -> AsyncGenerator[None]:
    """Have the scenario wait for a lock with somebody else behind it, and cancel it only then.

    For the setup of a scenario, as `contended`, for the bugs that starve others: a waiter that is
    cancelled while it waits, or as it is woken, must not keep those behind it from their turn. The
    order is proven: the scenario stands in the queue first, then somebody else stands at the same
    line of code, and only then is the scenario cancelled, or the lock let go. `contended` lets a
    scenario be cancelled that waits alone; use it as well. If the order does not come about in the
    runs that nobody cancels, the audit is unresolved.

    A cancellation of the block gives the lock back. Outside of an audit it is as `contended`.

    Args:
        lock: as for `contended`.
        hold: seconds that the lock is held once both wait for it, about.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from withal.audit import audit
        >>> @asynccontextmanager
        ... async def held():
        ...     lock = asyncio.Lock()
        ...     async with queued(lock):
        ...         yield lock
        >>> async def acquire(lock):
        ...     async with lock:
        ...         pass
        >>> str(audit(acquire, setup=held, probe=acquire).verdict)
        'safe'
    """
    current = session.get()
    queue = _Queue(lock, hold, None) if current is None else _Ordered(lock, hold, current)
    async with _held(queue):
        yield


@asynccontextmanager
async def _held(queue: _Queue) -> AsyncGenerator[None]:
    held = asyncio.Event()
    holder = queue.start(queue.hold_until_waited_for(held), "holds the lock")
    try:
        await _first(held, holder)
        yield
        await queue.wait_for_others()
    finally:
        await queue.cancel_others()


async def _first(held: asyncio.Event, holder: asyncio.Task[None]) -> None:
    """Wait until the lock is held, or raise what the holder fails with."""
    waiting = asyncio.ensure_future(held.wait())
    try:
        await asyncio.wait((waiting, holder), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if not held.is_set():
        holder.result()


class _Queue:
    """Who waits for a lock: the scenario, and somebody behind it."""

    def __init__(self, lock: Lock, hold: float, current: Session | None) -> None:
        self._lock = lock
        self._hold = hold
        self._session = current
        self._patience = _PATIENCE if current is None else min(_PATIENCE, current.timeout / 2)
        self._others: list[asyncio.Task[None]] = []
        self._behind: asyncio.Task[None] | None = None
        self._holds = False

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that is nobody's residue."""
        task = asyncio.create_task(work, name=name)
        self._others.append(task)
        if self._session is not None:
            self._session.tasks.add(task)
        return task

    async def hold_until_waited_for(self, held: asyncio.Event) -> None:
        """Take the lock, and let go when the scenario, and somebody behind it, waits for it."""
        async with _manager(self._lock):
            held.set()
            self._holds = True
            if self._session is None:
                await asyncio.sleep(self._hold / 2)
                self._follow()
                await asyncio.sleep(self._hold / 2)
            else:
                await self._scenario_waits(self._session)
                self._follow()
                await asyncio.sleep(self._hold / 2)
            self._holds = False

    def _follow(self) -> None:
        """Have somebody wait behind the scenario."""
        if self._behind is None:
            self._behind = self.start(self._enter(), "waits behind")

    async def _enter(self) -> None:
        async with _manager(self._lock):
            pass

    async def _scenario_waits(self, current: Session) -> None:
        """Return when the scenario waits for the lock, or has ended, or does neither in time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        still_since, before = 0.0, None
        while loop.time() < until:
            await asyncio.sleep(self._hold / 4)
            if current.task is None:
                until = loop.time() + self._patience  # the setup goes on
                continue
            task = current.task()
            if task is None or task.done():
                if before is None:
                    current.unmet.append(UNMET)
                return
            place = _place_of(task)
            if place is None or place != before:
                still_since, before = loop.time(), place
                continue
            del task
            self._follow()
            if self._is_in_queue() or loop.time() - still_since > _STILL * self._hold:
                return
        if before is None:
            current.unmet.append(UNMET)

    def _is_in_queue(self) -> bool:
        """Return whether a task of the scenario waits where the one behind it does."""
        behind = None if self._behind is None or self._behind.done() else _place_of(self._behind)
        if behind is None:
            return False
        return _waits_at(behind[0], set(self._others))

    async def wait_for_others(self) -> None:
        """Wait until all have had the lock; note or raise who has not come through in time."""
        waiting = set(self._others)
        done = set[asyncio.Task[None]]()
        until = asyncio.get_running_loop().time() + self._patience
        while waiting:  # the holder starts the one behind
            left = max(0.0, until - asyncio.get_running_loop().time())
            now, waiting = await asyncio.wait(waiting, timeout=left)
            done |= now
            waiting |= set(self._others) - done
            if not now:
                break
        for task in waiting:
            self._starves(task)
        for task in done:
            task.result()

    def _starves(self, task: asyncio.Task[None]) -> None:
        told = f"who {task.get_name()} has not come through within {self._patience:g} s"
        if self._session is None:
            raise TimeoutError(told)
        self._session.noted.append(Piece(Category.STARVATION, "contention", told))

    async def cancel_others(self) -> None:
        """Cancel who still holds it or waits for it, and wait for the end of that."""
        for task in self._others:
            task.cancel()
        await asyncio.wait(self._others)


@final
class _Ordered(_Queue):
    """A queue that the scenario stands in first. Where that is, is learned from the first run."""

    def __init__(self, lock: Lock, hold: float, current: Session) -> None:
        super().__init__(lock, hold, current)
        self._current = current
        # By order: the setup makes the same queues in each attempt.
        self._name = "queued", len(current.queues)
        current.queues.append(self._name)
        self._line: CodeType | None = current.shared.get(self._name)
        self._gives_up: float | None = None
        if self._line is not None:
            current.gates[self._line] = self.is_in_order

    async def _scenario_waits(self, current: Session) -> None:
        if self._line is None:
            await self._learn(current)
            return
        until = None
        loop = asyncio.get_running_loop()
        while until is None or loop.time() < until:
            await asyncio.sleep(self._hold / 4)
            if current.task is not None:
                until = until or loop.time() + self._patience
                task = current.task()
                if task is None or task.done():
                    break
                if self._scenario_stands_in_line() and self.is_in_order():
                    return
        current.unmet.append(OUT_OF_ORDER)

    async def _learn(self, current: Session) -> None:
        await super()._scenario_waits(current)
        behind = None if self._behind is None else _place_of(self._behind)
        if behind is not None and self._is_in_queue():
            current.shared[self._name] = behind[0]

    def is_in_order(self) -> bool:
        """Return whether the scenario, if it stands in line, has somebody behind it, or never will.

        Called where it does, this has somebody follow it.
        """
        assert self._line is not None
        if not self._holds or not self._scenario_stands_in_line():
            return True
        self._follow()
        now = asyncio.get_running_loop().time()
        self._gives_up = self._gives_up or now + self._patience
        place = None if self._behind is None else _place_of(self._behind)
        return (place is not None and place[0] is self._line) or now > self._gives_up

    def _scenario_stands_in_line(self) -> bool:
        assert self._line is not None
        return _waits_at(self._line, set(self._current.tasks))


def _waits_at(code: CodeType, others: Collection[asyncio.Task[Any]]) -> bool:
    """Return whether a task waits in that function, innermost, other than these."""
    tasks = asyncio.all_tasks().difference(others)
    return any(place[0] is code for task in tasks if (place := _place_of(task)))


def _place_of(task: asyncio.Task[Any]) -> tuple[CodeType, int] | None:
    """Return where a task waits innermost; None if it sleeps, which is not a wait for anybody."""
    frames = list(stack_of(task))
    if not frames or frames[-1].f_code is asyncio.sleep.__code__:
        return None
    return frames[-1].f_code, frames[-1].f_lasti


def _manager(lock: Lock) -> AbstractAsyncContextManager[Any]:
    return lock() if callable(lock) else lock
