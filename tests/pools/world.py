"""Connections that go wrong as planned, and know who uses them: they witness random programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


class PlannedError(Exception):
    """A failure of a program's plan."""


@dataclass(frozen=True)
class Plan:
    """What becomes of one connection. Times are seconds.

    Attributes:
        open_time: how long it takes to open.
        opens: whether it does.
        close_time: how long it takes to close.
        closes: whether that succeeds.
        check: ``"good"``, ``"false"``, ``"error"`` or ``"hangs"``.
        reset: the same.
        may_open: opening waits for this, too, if it is set.
        may_close: the same of closing.
    """

    open_time: float = 0.0
    opens: bool = True
    close_time: float = 0.0
    closes: bool = True
    check: str = "good"
    reset: str = "good"
    may_open: asyncio.Event | None = None
    may_close: asyncio.Event | None = None


@dataclass
class World:
    """All connections of a program, and what was unlawful about them.

    Attributes:
        size: how many there may be at once.
        plans: one for each connection, and then again from the first.
        planned: each planned error that was raised, by who has raised it.
    """

    size: int
    plans: list[Plan]
    made: list[Connection] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    planned: list[tuple[str, PlannedError]] = field(default_factory=list)
    is_kind: bool = False

    def connect(self) -> Connection:
        plan = Plan() if self.is_kind else self.plans[len(self.made) % len(self.plans)]
        connection = Connection(self, len(self.made), plan)
        self.made.append(connection)
        return connection

    def violated(self, text: str) -> None:
        self.violations.append(text)

    def fail(self, what: str, who: Connection) -> PlannedError:
        error = PlannedError(f"{what} of {who.number}")
        self.planned.append((what, error))
        return error

    def present(self) -> int:
        return sum(each.state in ("opening", "open", "closing") for each in self.made)


@dataclass(eq=False, repr=False)
class Connection:
    """A context manager that is its own value."""

    world: World
    number: int
    plan: Plan
    state: str = "new"
    user: Any = None
    is_dirty: bool = False
    is_dead: bool = False
    task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Connection:
        self.task = asyncio.current_task()
        self._move("new", "opening")
        if self.world.present() > self.world.size:
            self.world.violated(f"P1: {self.world.present()} connections of {self.world.size}")
        try:
            await pause(self.plan.open_time)
            if self.plan.may_open is not None:
                await self.plan.may_open.wait()
        except BaseException:
            self.state = "failed"
            raise
        if not self.plan.opens:
            self.state = "failed"
            raise self.world.fail("open", self)
        self._move("opening", "open")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if asyncio.current_task() is not self.task:
            self.world.violated(f"law 4: {self.number} is closed in another task")
        self._move("open", "closing")
        try:
            await pause(self.plan.close_time)
            if self.plan.may_close is not None:
                await self.plan.may_close.wait()
        finally:
            self._move("closing", "closed")
        if not self.plan.closes:
            raise self.world.fail("close", self)

    def _move(self, before: str, after: str) -> None:
        if self.state != before:
            self.world.violated(f"P7: {self.number} goes from {self.state} to {after}")
        self.state = after

    def begin_use(self, user: object) -> None:
        if self.user is not None:
            self.world.violated(f"P2: {user} has {self.number}, which {self.user} holds")
        if self.state != "open":
            self.world.violated(f"{user} has {self.number}, which is {self.state}")
        if self.is_dirty:
            self.world.violated(f"P6: {user} has {self.number} after a use that was cancelled")
        self.user = user

    def end_use(self, error: BaseException | None) -> None:
        self.user = None
        if error is not None and not isinstance(error, PlannedError):
            self.is_dirty = True


async def pause(seconds: float) -> None:
    """Take a turn of the loop, or some time."""
    await asyncio.sleep(seconds)


async def check(connection: Connection) -> object:
    return await _answer(connection, "check", connection.plan.check)


async def reset(connection: Connection) -> object:
    good = await _answer(connection, "reset", connection.plan.reset)
    if good:
        connection.is_dirty = False
    return good


async def _answer(connection: Connection, what: str, plan: str) -> bool:
    if connection.state != "open":
        connection.world.violated(f"{what} of {connection.number}, which is {connection.state}")
    if connection.user is not None:
        connection.world.violated(f"{what} of {connection.number}, which {connection.user} uses")
    await pause(0)
    if connection.world.is_kind:
        return True
    if plan == "error":
        raise connection.world.fail(what, connection)
    if plan == "hangs":
        await asyncio.Event().wait()
    return plan != "false"


def leaves(error: BaseException | None) -> Iterator[BaseException]:
    """Yield what a group holds, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    elif error is not None:
        yield error
