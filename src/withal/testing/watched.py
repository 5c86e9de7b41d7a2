"""A wrapper of a manager: it calls the manager's enter and exit, each under an injector."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Awaitable, Iterable
from types import TracebackType
from typing import TypeAlias, TypeVar, final

from withal._core.aliases import Coro
from withal._core.lifecycle import CLOSING, OPENING, Phase
from withal._core.managers import protocol_of
from withal.audit.engine.injector import Injector

T = TypeVar("T")

Injectors: TypeAlias = dict[Phase, Injector]
"""The injectors of the steps, opening and closing, that are to be cancelled."""


@final
class Watched:
    """Enters and exits another manager, of either kind, and keeps count.

    Attributes:
        opened: how often its enter succeeded.
        exits: how often its exit began.
        closed: how often its exit ended, with an error or without.
    """

    def __init__(self, manager: object, injectors: Injectors | None = None) -> None:
        self._enter, self._exit, self._is_async = protocol_of(manager)
        self._manager = manager
        self._injectors = injectors or {}
        self.opened: int = 0
        self.exits: int = 0
        self.closed: int = 0

    async def __aenter__(self) -> Watched:
        """Enter the other manager. The value that this returns is not used."""
        entering = self._enter(self._manager)
        if self._is_async:
            await self._run(OPENING, entering)
        self.opened += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Exit the other manager, and return whether it suppresses the exception."""
        self.exits += 1
        try:
            done = self._exit(self._manager, exc_type, exc, traceback)
            if self._is_async:
                done = await self._run(CLOSING, done)
            return bool(done)
        finally:
            self.closed += 1

    def _run(self, step: Phase, awaitable: Awaitable[T]) -> Coro[T]:
        coroutine = _as_coroutine(awaitable)
        injector = self._injectors.get(step)
        return coroutine if injector is None else injector.run(coroutine)


@final
class StruckTasks:
    """Returns the tasks to cancel at a wait of a step.

    While the manager opens, they are the owner and the host, as when a loop shuts down, so that the
    manager is cancelled at this very wait. While it closes, only the owner is cancelled: a scope
    does not pass that on to a finalizer.

    Attributes:
        owner: the task that requested the step.
    """

    def __init__(self, step: Phase) -> None:
        self._step = step
        self.owner: Task[object] | None = None

    def __call__(self, host: Task[object]) -> Iterable[Task[object]]:
        """Return the tasks, given the one that enters and exits."""
        if self.owner is not None:
            yield self.owner
        if self._step is OPENING:
            yield host


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable
