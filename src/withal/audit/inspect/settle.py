"""A look: what an attempt has left, once everything has come to rest and garbage is collected."""

from __future__ import annotations

import asyncio
import gc
from asyncio import AbstractEventLoop, Task
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, final

from withal.audit.inspect.idle import why_in_vain
from withal.audit.inspect.leftovers import Belongings, count, residue, surplus
from withal.audit.inspect.timers import Timers
from withal.audit.inspect.warnings_capture import DESTROYED, Complaints
from withal.audit.leftover import Counts, Piece
from withal.audit.report.record import Category
from withal.audit.session import CountingExecutor, Session
from withal.inspection.threads import threads_at_work

_TURNS = 10  # of the loop, for what was told to end
_REST = 0.25  # seconds for what ends by itself: a thread, a peer's answer
_PATIENCE = 1.0  # seconds for those who share the environment
_LOOK = 0.005  # seconds between two looks at what has not come to rest


@final
@dataclass(frozen=True, slots=True)
class Work:
    """What threads do at one moment.

    Attributes:
        calls: those of the loop's executor that have not ended.
        threads: where each other thread is that is not known to be at rest.
    """

    calls: frozenset[Future[Any]]
    threads: dict[int, tuple[int, int]]


@final
class Look:
    """Sees what there is, in the process and in a loop, that was not there when this began."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        session: Session,
        executor: CountingExecutor,
        complaints: Complaints,
    ) -> None:
        self._loop = loop
        self._session = session
        self._executor = executor
        self._complaints = complaints

    def begin(self) -> None:
        """Note what is there. The loop runs by now: uvloop opens its own sockets as it begins."""
        self._before = self._open = Belongings.now()
        self._others: Collection[Task[Any]] = ()

    def set_up(self) -> None:
        """Note what the setup has made, which is no residue while the setup is open."""
        self._with_setup = Belongings.now()

    async def at_rest(
        self,
        normal: Counts | None,
        timers: Timers,
        others: Collection[Task[Any]],
        *,
        environment_is_open: bool,
    ) -> tuple[Counts, list[Piece]]:
        """Let everything come to rest; return all there is, counted, and what is too much.

        Args:
            normal: what may be there; None if that is to be found out.
            timers: those that are waited for if they are due soon.
            others: tasks that are no residue now.
            environment_is_open: whether what the setup has made is still to be there.
        """
        self._others = others
        self._open = self._with_setup if environment_is_open else self._before
        stuck = await self._calls_in_threads()
        await self._fixtures_end()
        await self._rest(normal, timers)
        allowed = Counts() if normal is None else normal
        before = self._pieces()
        with self._complaints.collecting():
            gc.collect()
            for _ in range(2):  # a collected transport closes in a turn of its own
                await asyncio.sleep(0)
        complaints = self._complaints.take()
        now = self._pieces() + complaints
        now += _collected(before, now, allowed)
        if any(each.category is Category.TASK for each in now):
            now = [each for each in now if each.kind != DESTROYED] or now
        return count(now), stuck + ([] if normal is None else surplus(now, normal))

    def work(self) -> Work:
        """Return what threads do at this moment."""
        return Work(self._executor.calls, threads_at_work())

    async def work_ends(self) -> None:
        """Wait for calls in threads, and until the other threads stay where they are."""
        calls = {asyncio.wrap_future(call) for call in self._executor.calls}
        if calls:
            await asyncio.wait(calls, timeout=self._session.timeout)
        until, were_at_work = self._loop.time() + _REST, None
        while (at_work := threads_at_work()) != were_at_work and self._loop.time() < until:
            were_at_work = at_work
            await asyncio.sleep(_LOOK)

    def was_at_work(self, earlier: Work) -> bool:
        """Return whether a thread was at work then that has ended its work or moved on since."""
        now = self.work()
        moved = earlier.threads.items() - now.threads.items()
        return bool(moved or earlier.calls - now.calls)

    async def _calls_in_threads(self) -> list[Piece]:
        """Wait for what threads still do: a call outlives what waited for it."""
        calls = {asyncio.wrap_future(call) for call in self._executor.calls}
        if not calls:
            return []
        _, pending = await asyncio.wait(calls, timeout=self._session.timeout)
        for each in pending:
            each.cancel()
        if not pending:
            return []
        words = f"{len(pending)} calls in threads do not end within {self._session.timeout:g} s"
        return [Piece(Category.THREAD, "calls", words)]

    async def _fixtures_end(self) -> None:
        """Wait for those who share the environment: who holds a lock may yet let it go wrongly."""
        for task in list(self._session.tasks):
            if not task.done():
                await why_in_vain(task, min(_PATIENCE, self._session.timeout))

    async def _rest(self, normal: Counts | None, timers: Timers) -> None:
        """Wait until nothing is too much; or, where nobody knows yet, until no less is there."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await timers.wait(_REST)
        until = self._loop.time() + _REST
        at_work, beyond = threads_at_work(), self._beyond(normal)
        while (at_work or beyond) and self._loop.time() < until:
            were_at_work, was_beyond = at_work, beyond
            await asyncio.sleep(_LOOK)
            at_work, beyond = threads_at_work(), self._beyond(normal)
            is_steady = normal is None and count(beyond) == count(was_beyond)
            if at_work == were_at_work and (is_steady or not beyond):
                break

    def _beyond(self, normal: Counts | None) -> list[Piece]:
        return surplus(self._pieces(), Counts() if normal is None else normal)

    def _pieces(self) -> list[Piece]:
        own = {asyncio.current_task(), *self._session.tasks, *self._others}
        return list(residue(self._before, self._open, self._loop, own))


def _collected(before: list[Piece], now: list[Piece], normal: Counts) -> list[Piece]:
    """Return what only the garbage collector has ended, where nothing says so as well."""
    still = {piece.evidence for piece in now}
    gone = [each for each in surplus(before, normal) if each.evidence not in still]
    if any(piece.category in {Category.COLLECTED, Category.DROPPED} for piece in now):
        gone = [each for each in gone if each.category is Category.TASK]
    return [
        Piece(
            Category.TASK if each.category is Category.TASK else Category.COLLECTED,
            each.kind,
            f"{each.evidence}, until garbage is collected",
            each.detail,
        )
        for each in gone
        if each.category in {Category.DESCRIPTOR, Category.TRANSPORT, Category.TASK}
    ]
