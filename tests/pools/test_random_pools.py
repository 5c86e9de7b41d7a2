"""Random programs of pools: every law of them, in every program, in virtual time.

``WITHAL_PROGRAMS=20000 pytest tests/pools`` runs that many, each time others.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.pools.world import Connection, Plan, PlannedError, World, check, leaves, pause, reset
from withal import ResourceLostError, testing
from withal.pools import (
    Pool,
    PoolClosedError,
    PoolCloseTimeoutError,
    PoolFullError,
    PoolTimeoutError,
)

ASKED = int(os.environ.get("WITHAL_PROGRAMS", "0"))
MADE = settings(
    deadline=None,
    derandomize=not ASKED,
    database=None,
    max_examples=ASKED or 400,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
    print_blob=False,
    report_multiple_bugs=False,
)
# Few, so that things happen at the same instant; zero is a turn of the loop.
TIMES = st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.0])


@dataclass(frozen=True)
class User:
    """One task that uses the pool once."""

    start: float
    hold: float
    turns: int
    timeout: float | None
    ends: str  # "well", "error", "timeout" or "discard"
    cancel_at: float | None
    cancel_turns: int


@dataclass(frozen=True)
class Program:
    size: int
    warm: int
    max_waiting: int | None
    idle_timeout: float | None
    max_age: float | None
    checks: bool
    resets: bool
    close_timeout: float
    plans: tuple[Plan, ...]
    users: tuple[User, ...]
    deaths: tuple[float, ...]
    close_at: float | None


USERS = st.builds(
    User,
    start=TIMES,
    hold=TIMES,
    turns=st.integers(0, 3),
    timeout=st.sampled_from([None, None, 0.0, 1.0, 5.0]),
    ends=st.sampled_from(["well", "well", "error", "timeout", "discard"]),
    cancel_at=st.none() | TIMES,
    cancel_turns=st.integers(0, 6),
)
PLANS = st.builds(
    Plan,
    open_time=TIMES,
    opens=st.sampled_from([True, True, True, False]),
    close_time=TIMES,
    closes=st.sampled_from([True, True, False]),
    check=st.sampled_from(["good", "good", "false", "error", "hangs"]),
    reset=st.sampled_from(["good", "good", "false", "error", "hangs"]),
)
PROGRAMS = st.integers(1, 3).flatmap(
    lambda size: st.builds(
        Program,
        size=st.just(size),
        warm=st.integers(0, size),
        max_waiting=st.none() | st.integers(0, 4),
        idle_timeout=st.sampled_from([None, 0.0, 1.0, 600.0]),
        max_age=st.none() | st.sampled_from([1.0, 4.0]),
        checks=st.booleans(),
        resets=st.booleans(),
        close_timeout=st.sampled_from([0.0, 2.0, 10.0]),
        plans=st.lists(PLANS, min_size=1, max_size=4).map(tuple),
        users=st.lists(USERS, min_size=1, max_size=8).map(tuple),
        deaths=st.lists(TIMES, max_size=2).map(tuple),
        close_at=st.none() | TIMES,
    )
)


class Runner:
    """Runs one program, and looks."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.world = World(program.size, list(program.plans))
        self.seen: list[BaseException] = []
        self.arrived: list[Any] = []
        self.cancelled: dict[int, asyncio.Task[Any]] = {}

    def make_pool(self) -> Pool[Connection]:
        program = self.program
        return Pool(
            self.world.connect,
            size=program.size,
            warm=program.warm,
            max_waiting=program.max_waiting,
            idle_timeout=program.idle_timeout,
            max_age=program.max_age,
            check=check if program.checks else None,
            reset=reset if program.resets else None,
            close_timeout=program.close_timeout,
            name="db",
        )

    async def run(self) -> None:
        pool = self.make_pool()
        try:
            async with pool:
                await self.body(pool)
        except BaseException as exc:
            self.seen.append(exc)
        await asyncio.sleep(60)
        self.look_at_the_end(pool)

    async def body(self, pool: Pool[Connection]) -> None:
        users = [
            asyncio.create_task(self.use(pool, number, user), name=f"user {number}")
            for number, user in enumerate(self.program.users)
        ]
        others = [asyncio.create_task(self.kill(at)) for at in self.program.deaths]
        others += [
            asyncio.create_task(self.cancel(number, task))
            for number, task in enumerate(users)
            if self.program.users[number].cancel_at is not None
        ]
        try:
            if self.program.close_at is not None:
                await pause(self.program.close_at)
                await pool.aclose()
            await asyncio.wait(users)
            if self.program.close_at is None:
                await self.look_whether_all_is_there(pool)
        finally:
            await asyncio.wait([*users, *others])
            self.look_at_users(users)

    async def use(self, pool: Pool[Connection], number: int, user: User) -> None:
        await pause(user.start)
        for _ in range(user.turns):
            await pause(0)
        acquisition: Any = pool.acquire(timeout=user.timeout)
        self.arrived.append(acquisition)
        async with acquisition as connection:
            self.look_at_order(pool, acquisition)
            connection.begin_use(f"user {number}")
            error: BaseException | None = None
            try:
                await self.hold(pool, user, connection)
            except BaseException as exc:
                error = exc
                raise
            finally:
                connection.end_use(error)

    async def hold(self, pool: Pool[Connection], user: User, connection: Connection) -> None:
        if user.ends == "timeout":
            async with asyncio.timeout(user.hold):
                await asyncio.Event().wait()
        await pause(user.hold)
        if user.ends == "error":
            raise self.world.fail("use", connection)
        if user.ends == "discard":
            connection.is_dirty = True
            if connection.state == "open":  # the pool has not closed it at its deadline
                pool.discard(connection)

    async def cancel(self, number: int, task: asyncio.Task[Any]) -> None:
        user = self.program.users[number]
        assert user.cancel_at is not None
        await pause(user.cancel_at)
        for _ in range(user.cancel_turns):
            await pause(0)
        if task.cancel():
            self.cancelled[number] = task

    async def kill(self, at: float) -> None:
        """Cancel the host of a connection, as a bug in it would."""
        await pause(at)
        for connection in self.world.made:
            if connection.state == "open" and connection.task is not None:
                connection.is_dead = True
                connection.task.cancel()
                break

    # Looking

    def look_at_order(self, pool: Pool[Connection], acquisition: object) -> None:
        """P3: nobody who came earlier is waiting still."""
        engine: Any = pool._engine
        waiting = {waiter.use for waiter in engine.queue.waiters}
        for earlier in self.arrived[: self.arrived.index(acquisition)]:
            if earlier in waiting:
                self.world.violated("P3: one who came later was served before")

    async def look_whether_all_is_there(self, pool: Pool[Connection]) -> None:
        """P4: all places can be used still."""
        self.world.is_kind = True
        self.arrived.clear()
        await pause(30)
        now = pool.statistics()
        if (now.held, now.waiting, now.opening, now.closing) != (0, 0, 0, 0):
            self.world.violated(f"P4: {now}")
        barrier = asyncio.Barrier(self.program.size)

        async def use() -> None:
            async with pool.acquire(timeout=100) as connection:
                connection.begin_use("the last")
                await barrier.wait()
                connection.end_use(None)

        await asyncio.gather(*(use() for _ in range(self.program.size)))

    def look_at_users(self, users: list[asyncio.Task[Any]]) -> None:
        """P5, law 6: each has ended, in a way that is known."""
        for number, task in enumerate(users):
            if task.cancelled():
                if number not in self.cancelled:
                    self.world.violated(f"law 6: user {number} was cancelled by nobody")
                continue
            error = task.exception()
            if error is None:
                if number in self.cancelled:
                    self.world.violated(f"law 6: the cancellation of user {number} was lost")
                continue
            self.seen.append(error)

    def look_at_the_end(self, pool: Pool[Connection]) -> None:
        """P7: each was closed. P8: each error was raised, and none twice by the same task."""
        for connection in self.world.made:
            if connection.state not in ("closed", "failed"):
                self.world.violated(f"P7: {connection.number} is {connection.state}")
        now = pool.statistics()
        if now.open or now.opening or now.closing or now.waiting:
            self.world.violated(f"P4: {now}")
        seen = [leaf for error in self.seen for leaf in leaves(error)]
        known = (
            PlannedError,
            TimeoutError,
            PoolClosedError,
            PoolFullError,
            PoolTimeoutError,
            PoolCloseTimeoutError,
            ResourceLostError,
        )
        for error in seen:
            if not isinstance(error, known) and type(error).__name__ != "CloseTimeoutError":
                self.world.violated(f"unexpected: {error!r}")
        for what, error in self.world.planned:
            count = sum(each is error for each in seen)
            if what in ("close", "reset", "use") and count != 1:
                self.world.violated(f"P8: {error} was raised {count} times")


def run(program: Program) -> Runner:
    unhandled: list[Any] = []
    runner = Runner(program)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        await runner.run()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            runner.world.violated(f"left: {left}")

    testing.run(main())
    for context in unhandled:
        error = context.get("exception")
        if isinstance(error, PlannedError) and "was abandoned" in context["message"]:
            runner.seen.append(error)
        else:
            runner.world.violated(f"the loop's exception handler was called: {context}")
    return runner


@pytest.mark.slow
@pytest.mark.timeout(0)
@given(program=PROGRAMS)
@MADE
def test_pools_keep_their_laws_whatever_happens(program: Program) -> None:
    """Laws P1 to P9."""
    runner = run(program)
    if runner.world.violations:
        note("\n".join(runner.world.violations))
    assert runner.world.violations == []
