"""Settling: waits until an attempt is idle, then compares its leftovers with the baseline."""

from __future__ import annotations

import asyncio
import gc
from asyncio import AbstractEventLoop, Task
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import final

from withal._core.descriptors import open_descriptors
from withal.audit.inspect.connections import SetupConnections
from withal.audit.inspect.idle import wait_or_diagnose
from withal.audit.inspect.leftovers import ProcessState, beyond_baseline, count, find_leftovers
from withal.audit.inspect.timers import Timers
from withal.audit.inspect.warnings_capture import DESTROYED, CapturedWarnings
from withal.audit.leftover import Counts, Leftover
from withal.audit.report.record import Category
from withal.audit.session import AuditSession, CountingExecutor
from withal.inspection.threads import threads_at_work

_SETTLE_TURNS = 10  # turns of the loop for tasks that are about to end
_SETTLE_SECONDS = 0.25  # for activity that is not awaited: a thread, a peer's answer
_FIXTURE_SECONDS = 1.0  # for other users of the environment
_POLL_SECONDS = 0.005  # between two checks
# Checks are counted, not seconds: on a loaded machine both the peer and the checks are late.
_SETTLE_LOOKS = round(_SETTLE_SECONDS / _POLL_SECONDS)


@final
@dataclass(frozen=True, slots=True)
class ThreadWork:
    """The activity of threads at one moment.

    Attributes:
        calls: the calls of the loop's executor that have not ended.
        threads: the place of each other thread that is not known to be idle.
    """

    calls: frozenset[Future[object]]
    threads: dict[int, tuple[int, int]]


@final
class LeftoverCheck:
    """Finds resources of the process and of a loop that did not exist at the start."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        session: AuditSession,
        executor: CountingExecutor,
        warnings: CapturedWarnings,
    ) -> None:
        self._loop = loop
        self._session = session
        self._executor = executor
        self._warnings = warnings

    def note_start(self) -> None:
        """Record the state at the start; the loop must be running, as uvloop opens sockets then."""
        self._before = self._open = ProcessState.now()
        self._others: Collection[Task[object]] = ()
        self._connections = SetupConnections()

    def note_setup(self) -> None:
        """Record the resources of the setup, which are not leftovers while the setup is open."""
        self._with_setup = ProcessState.now()
        made = self._with_setup.descriptors - self._before.descriptors
        self._connections = SetupConnections.among(made)

    async def settle_and_compare(
        self,
        baseline: Counts | None,
        timers: Timers,
        others: Collection[Task[object]],
        *,
        environment_is_open: bool,
    ) -> tuple[Counts, list[Leftover]]:
        """Wait until everything is idle; return the counts, and the leftovers beyond the baseline.

        Args:
            baseline: the allowed counts; None in a baseline run.
            timers: timers to wait for if they are due soon.
            others: tasks that are not leftovers now.
            environment_is_open: whether the resources of the setup are still allowed.
        """
        self._others = others
        self._open = self._with_setup if environment_is_open else self._before
        stuck = await self._wait_for_calls()
        await self._wait_for_fixtures()
        await self._settle(baseline, timers)
        allowed = Counts() if baseline is None else baseline
        before = self._leftovers()
        descriptors = open_descriptors() if self._connections.addresses else ()
        accepted = self._connections.accepted(descriptors)
        with self._warnings.collecting():
            gc.collect()
            for _ in range(2):  # a collected transport closes in the next turn
                await asyncio.sleep(0)
        warnings = list(self._connections.not_accepted(self._warnings.take(), accepted))
        now = self._leftovers() + warnings
        now += _collected(before, now, allowed)
        if any(each.category is Category.TASK for each in now):
            now = [each for each in now if each.kind != DESTROYED] or now
        return count(now), stuck + ([] if baseline is None else beyond_baseline(now, baseline))

    def current_work(self) -> ThreadWork:
        """Return the present activity of threads."""
        return ThreadWork(self._executor.calls, threads_at_work())

    async def wait_for_work(self) -> None:
        """Wait for calls in threads, and until the other threads stay at their places."""
        calls = {asyncio.wrap_future(call) for call in self._executor.calls}
        if calls:
            await asyncio.wait(calls, timeout=self._session.timeout)
        were_at_work = None
        for _ in range(_SETTLE_LOOKS):
            if (at_work := threads_at_work()) == were_at_work:
                break
            were_at_work = at_work
            await asyncio.sleep(_POLL_SECONDS)

    def has_moved_since(self, earlier: ThreadWork) -> bool:
        """Return whether a thread that was at work then has ended its work or moved on since."""
        now = self.current_work()
        moved = earlier.threads.items() - now.threads.items()
        return bool(moved or earlier.calls - now.calls)

    async def _wait_for_calls(self) -> list[Leftover]:
        """Wait for running calls in threads, which may outlive the task that waited for them."""
        calls = {asyncio.wrap_future(call) for call in self._executor.calls}
        if not calls:
            return []
        _, pending = await asyncio.wait(calls, timeout=self._session.timeout)
        for each in pending:
            each.cancel()
        if not pending:
            return []
        words = f"{len(pending)} calls in threads do not end within {self._session.timeout:g} s"
        return [Leftover(Category.THREAD, "calls", words)]

    async def _wait_for_fixtures(self) -> None:
        """Wait for the other users of the environment, which may still release a lock."""
        for task in list(self._session.tasks):
            if not task.done():
                await wait_or_diagnose(task, min(_FIXTURE_SECONDS, self._session.timeout))

    async def _settle(self, baseline: Counts | None, timers: Timers) -> None:
        """Wait until nothing is beyond the baseline; without one, until the counts are steady."""
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)
        await timers.wait(_SETTLE_SECONDS)
        at_work, beyond = threads_at_work(), self._beyond_baseline(baseline)
        for _ in range(_SETTLE_LOOKS):
            if not (at_work or beyond):
                break
            were_at_work, was_beyond = at_work, beyond
            await asyncio.sleep(_POLL_SECONDS)
            at_work, beyond = threads_at_work(), self._beyond_baseline(baseline)
            is_steady = baseline is None and count(beyond) == count(was_beyond)
            if at_work == were_at_work and (is_steady or not beyond):
                break

    def _beyond_baseline(self, baseline: Counts | None) -> list[Leftover]:
        return beyond_baseline(self._leftovers(), Counts() if baseline is None else baseline)

    def _leftovers(self) -> list[Leftover]:
        own = {asyncio.current_task(), *self._session.tasks, *self._others}
        return list(find_leftovers(self._before, self._open, self._loop, own, self._connections))


def _collected(before: list[Leftover], now: list[Leftover], baseline: Counts) -> list[Leftover]:
    """Return leftovers that only garbage collection has removed, unless a warning reports them."""
    still = {leftover.evidence for leftover in now}
    gone = [each for each in beyond_baseline(before, baseline) if each.evidence not in still]
    if any(leftover.category in {Category.COLLECTED, Category.DROPPED} for leftover in now):
        gone = [each for each in gone if each.category is Category.TASK]
    return [
        Leftover(
            Category.TASK if each.category is Category.TASK else Category.COLLECTED,
            each.kind,
            f"{each.evidence}, until garbage is collected",
            each.detail,
        )
        for each in gone
        if each.category in {Category.DESCRIPTOR, Category.TRANSPORT, Category.TASK}
    ]
