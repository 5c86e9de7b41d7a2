"""The scenario: three resources that take a while to open and to close, and write down both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from anyio import CancelScope

NAMES = ("database", "cache", "queue")


class Database: ...


class Cache: ...


class Queue: ...


class RefusedError(Exception):
    """The peer refuses the connection."""


class Step(Enum):
    OPENING = auto()
    OPENED = auto()
    BODY = auto()
    CLOSING = auto()
    CLOSED = auto()
    RETURNED = auto()  # the library has given control back, whatever it still does


@dataclass(frozen=True, slots=True)
class Event:
    step: Step
    name: str
    task: asyncio.Task[Any] | None  # of whatever type: it is only compared


@dataclass(slots=True)
class Log:
    """All that is known of a run, and what is to happen when the first finalizer begins."""

    events: list[Event] = field(default_factory=list)
    when_closing: Callable[[], None] | None = None

    def add(self, step: Step, name: str = "") -> None:
        self.events.append(Event(step, name, asyncio.current_task()))
        if step is Step.CLOSING and self.when_closing is not None:
            act, self.when_closing = self.when_closing, None
            act()


@dataclass(frozen=True, slots=True)
class Services:
    """Where the resources are, how long each takes to open and to close, and what goes wrong.

    Args:
        pause: seconds that an opening takes, and a finalizer.
        refusing: the resource that cannot be opened, which is known after half a pause.
        scoped: whether each resource holds a cancel scope while it is open, as those do that run
            a task group or a timeout of anyio's. It must be entered and exited by one task.
    """

    log: Log
    pause: float
    refusing: str | None = None
    scoped: bool = False

    @asynccontextmanager
    async def opened(self, name: str) -> AsyncIterator[None]:
        scope: AbstractContextManager[object] = CancelScope() if self.scoped else nullcontext()
        with scope:
            await self._open(name)
            try:
                yield
            finally:
                self.log.add(Step.CLOSING, name)
                await asyncio.sleep(self.pause)
                self.log.add(Step.CLOSED, name)

    async def _open(self, name: str) -> None:
        self.log.add(Step.OPENING, name)
        if name == self.refusing:
            await asyncio.sleep(self.pause / 2)
            raise RefusedError(name)
        await asyncio.sleep(self.pause)
        self.log.add(Step.OPENED, name)

    async def body(self) -> None:
        """Do what the resources were opened for."""
        self.log.add(Step.BODY)

    def managers(self) -> tuple[AbstractAsyncContextManager[object], ...]:
        """Return the resources as context managers, for those that take such."""
        return tuple(asynccontextmanager(each)(self) for each in FACTORIES)


# The resources as generator functions, for those that take such.
async def open_database(services: Services) -> AsyncIterator[Database]:
    async with services.opened("database"):
        yield Database()


async def open_cache(services: Services) -> AsyncIterator[Cache]:
    async with services.opened("cache"):
        yield Cache()


async def open_queue(services: Services) -> AsyncIterator[Queue]:
    async with services.opened("queue"):
        yield Queue()


FACTORIES: tuple[Callable[[Services], AsyncIterator[object]], ...] = (
    open_database,
    open_cache,
    open_queue,
)
