"""Managers that write down what happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.support.loop import turns


@dataclass
class Log:
    """What happened, in order, as (step, name)."""

    steps: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, step: str, name: str) -> None:
        self.steps.append((step, name))

    def names(self, step: str) -> list[str]:
        return [name for each, name in self.steps if each == step]

    def index(self, step: str, name: str) -> int:
        return self.steps.index((step, name))

    def check_all_closed(self) -> None:
        """Law 1: what opened was closed, once each."""
        assert sorted(self.names("opened")) == sorted(self.names("closed")), self.steps
        assert len(set(self.names("closed"))) == len(self.names("closed")), self.steps

    def check_closed_before(self, later: str, earlier: str) -> None:
        """Law 3: `later` depends on `earlier`, so it has closed before the other begins to."""
        if ("opened", later) in self.steps:
            assert self.index("closed", later) < self.index("closing", earlier), self.steps


class Probe:
    """A manager that takes some turns of the loop to enter and to exit, and writes it down."""

    def __init__(
        self,
        log: Log,
        name: str,
        *,
        turns: int = 2,
        opening: Callable[[], Awaitable[object]] | None = None,
        closing: Callable[[], Awaitable[object]] | None = None,
        suppress: bool = False,
    ) -> None:
        self.log = log
        self.name = name
        self.turns = turns
        self.opening = opening
        self.closing = closing
        self.suppress = suppress
        self.seen: BaseException | None = None
        self.tasks: list[asyncio.Task[Any] | None] = []

    async def __aenter__(self) -> Probe:
        self.tasks.append(asyncio.current_task())
        self.log("opening", self.name)
        await turns(self.turns)
        if self.opening is not None:
            await self.opening()
        self.log("opened", self.name)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.tasks.append(asyncio.current_task())
        self.seen = exc
        self.log("closing", self.name)
        try:
            await turns(self.turns)
            if self.closing is not None:
                await self.closing()
        finally:
            self.log("closed", self.name)
        return self.suppress


async def fail(error: BaseException) -> None:
    """Serve as the opening or closing of a probe that fails."""
    raise error


def failing(error: BaseException) -> Callable[[], Coroutine[Any, Any, None]]:
    return lambda: fail(error)


async def forever() -> None:
    await asyncio.Event().wait()


def stubborn_until(released: asyncio.Event) -> Callable[[], Coroutine[Any, Any, None]]:
    """Serve as the closing of a probe that outlasts every cancellation until it is released."""

    async def wait() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    return wait


class Hostile(Exception):  # noqa: N818
    """Answers no question about itself."""

    __hash__ = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    def __bool__(self) -> bool:
        raise RuntimeError("asked for its truth")

    def __str__(self) -> str:
        raise RuntimeError("shown")

    __repr__ = __str__
