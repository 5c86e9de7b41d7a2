"""Random programs of `Shared`, `Keyed` and `Reloadable`, in virtual time: every law, in each."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.pools.test_random_pools import MADE, TIMES
from tests.pools.world import Connection, Plan, PlannedError, World, leaves, pause
from withal import CloseTimeoutError, ResourceLostError, Scope, testing
from withal.pools import (
    HeldTooLongWarning,
    Keyed,
    PoolClosedError,
    PoolCloseTimeoutError,
    Reloadable,
    Shared,
)


@dataclass(frozen=True)
class User:
    """One task that uses it once, or reloads it."""

    start: float
    turns: int
    hold: float
    key: int
    reloads: bool
    fails: bool
    cancel_at: float | None
    cancel_turns: int


@dataclass(frozen=True)
class Program:
    kind: str
    linger: float | None
    limit: int | None
    drain_timeout: float | None
    scoped: bool
    close_timeout: float
    plans: tuple[Plan, ...]
    users: tuple[User, ...]
    deaths: tuple[float, ...]
    close_at: float


USERS = st.builds(
    User,
    start=TIMES,
    turns=st.integers(0, 3),
    hold=TIMES,
    key=st.integers(0, 2),
    reloads=st.sampled_from([False, False, False, True]),
    fails=st.booleans(),
    cancel_at=st.none() | TIMES,
    cancel_turns=st.integers(0, 6),
)
PLANS = st.builds(
    Plan,
    open_time=TIMES,
    opens=st.sampled_from([True, True, True, False]),
    close_time=TIMES,
    closes=st.sampled_from([True, True, False]),
)
PROGRAMS = st.builds(
    Program,
    kind=st.sampled_from(["shared", "keyed", "reloadable"]),
    linger=st.sampled_from([None, 0.0, 0.0, 1.0, 2.0]),
    limit=st.none() | st.integers(1, 2),
    drain_timeout=st.sampled_from([None, 0.0, 1.0]),
    scoped=st.booleans(),
    close_timeout=st.sampled_from([0.0, 2.0, 10.0]),
    plans=st.lists(PLANS, min_size=1, max_size=4).map(tuple),
    users=st.lists(USERS, min_size=1, max_size=8).map(tuple),
    deaths=st.lists(TIMES, max_size=2).map(tuple),
    close_at=TIMES,
)


class Runner:
    """Runs one program, and looks."""

    def __init__(self, program: Program) -> None:
        self.program = program
        sizes = {"shared": 1, "keyed": 100, "reloadable": 100}
        self.world = World(sizes[program.kind], list(program.plans))
        self.seen: list[BaseException] = []
        self.heard: list[BaseException] = []
        self.cancelled: set[int] = set()

    def make(self, scope: Scope | None) -> Any:
        program = self.program
        options: dict[str, Any] = {
            "linger": program.linger,
            "scope": scope,
            "close_timeout": program.close_timeout,
        }
        if program.kind == "shared":
            return Shared(self.world.connect, **options)
        if program.kind == "keyed":
            return Keyed(self.connect_for, limit=program.limit, **options)
        return Reloadable(self.world.connect, drain_timeout=program.drain_timeout, **options)

    def connect_for(self, key: int) -> Connection:
        for other in self.world.made:
            if other.user == key and other.state in ("opening", "open", "closing"):
                self.world.violated(f"S1: two of key {key} at once")
        connection = self.world.connect()
        connection.user = key
        return connection

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.hear(context))
        users: list[asyncio.Task[Any]] = []
        try:
            if self.program.scoped:
                async with Scope("app", close_timeout=self.program.close_timeout) as scope:
                    users = self.start(self.make(scope))
                    await pause(self.program.close_at)
            else:
                users = self.start(self.make(None))
                await asyncio.wait(users)
        except BaseException as exc:
            self.seen.append(exc)
        await asyncio.wait([*users, *self.others])
        self.look_at_users(users)
        await asyncio.sleep(60)

    def hear(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None:
            self.world.violated(f"the exception handler was called: {context}")
        else:
            self.heard.append(error)

    def start(self, thing: Any) -> list[asyncio.Task[Any]]:
        plans = self.program.users
        users = [asyncio.create_task(self.use(thing, user)) for user in plans]
        self.others = [asyncio.create_task(self.kill(at)) for at in self.program.deaths]
        self.others += [
            asyncio.create_task(self.cancel(number, task))
            for number, task in enumerate(users)
            if plans[number].cancel_at is not None
        ]
        return users

    async def use(self, thing: Any, user: User) -> None:
        await pause(user.start)
        for _ in range(user.turns):
            await pause(0)
        if user.reloads and isinstance(thing, Reloadable):
            await thing.reload()
            return
        manager: AbstractAsyncContextManager[Connection] = (
            thing(user.key) if isinstance(thing, Keyed) else thing
        )
        async with manager as connection:
            if connection.state != "open":
                self.world.violated(f"S1: a user has {connection.number}: {connection.state}")
            await pause(user.hold)
            if connection.state != "open" and not self.may_be_closed(connection):
                self.world.violated(f"S1: {connection.number} was closed while it is used by")
            if user.fails:
                raise self.world.fail("use", connection)

    def may_be_closed(self, connection: Connection) -> bool:
        """Whether the deadline of the scope, or that for older generations, may have passed."""
        program = self.program
        return program.scoped or (
            program.kind == "reloadable" and program.drain_timeout is not None
        )

    async def cancel(self, number: int, task: asyncio.Task[Any]) -> None:
        user = self.program.users[number]
        assert user.cancel_at is not None
        await pause(user.cancel_at)
        for _ in range(user.cancel_turns):
            await pause(0)
        if task.cancel():
            self.cancelled.add(number)

    async def kill(self, at: float) -> None:
        await pause(at)
        for connection in self.world.made:
            if connection.state == "open" and connection.task is not None:
                connection.task.cancel()
                break

    def look_at_users(self, users: list[asyncio.Task[Any]]) -> None:
        for number, task in enumerate(users):
            if task.cancelled():
                if number not in self.cancelled:
                    self.world.violated(f"law 6: user {number} was cancelled by nobody")
                continue
            error = task.exception()
            if error is not None:
                self.seen.append(error)
            elif number in self.cancelled:
                self.world.violated(f"law 6: the cancellation of user {number} was lost")

    def look_at_the_end(self) -> None:
        for connection in self.world.made:
            if connection.state not in ("closed", "failed"):
                self.world.violated(f"law 1: {connection.number} is {connection.state}")
        known = (
            PlannedError,
            PoolClosedError,
            PoolCloseTimeoutError,
            CloseTimeoutError,
            ResourceLostError,
        )
        seen = [leaf for error in [*self.seen, *self.heard] for leaf in leaves(error)]
        for error in seen:
            if not isinstance(error, known):
                self.world.violated(f"unexpected: {error!r}")
        for what, error in self.world.planned:
            count = sum(each is error for each in seen)
            if what in ("close", "use") and count != 1:
                self.world.violated(f"S3: {error} was raised {count} times")


def run(program: Program) -> World:
    runner = Runner(program)

    async def main() -> None:
        await runner.run()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeldTooLongWarning)
        testing.run(main())
    runner.look_at_the_end()
    return runner.world


@pytest.mark.slow
@pytest.mark.timeout(0)
@given(program=PROGRAMS)
@MADE
def test_sharing_keeps_its_laws_whatever_happens(program: Program) -> None:
    """Laws S1 to S4."""
    made = run(program)
    if made.violations:
        note("\n".join(made.violations))
    assert made.violations == []
