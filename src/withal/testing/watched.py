"""A manager under watch: it passes all on to another, and can be cancelled at each wait of that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, TypeAlias, TypeVar, final

from withal._core.managers import protocol_of
from withal._core.resources.base import CLOSING, OPENING, Phase

T = TypeVar("T")

OnWait: TypeAlias = Callable[[Phase, int], None]
"""Called when a step, the opening or the closing, begins its first, second, ... wait."""


def do_nothing(step: Phase, number: int) -> None:
    """Take no note of a wait."""


@final
class Watched:
    """Enters and exits another manager, of either kind, and keeps count.

    Attributes:
        opened: how often its enter came to a good end.
        exits: how often its exit began.
        closed: how often its exit ended, with an error or without.
    """

    def __init__(self, manager: object, on_wait: OnWait = do_nothing) -> None:
        self._enter, self._exit, self._is_async = protocol_of(manager)
        self._manager = manager
        self._on_wait = on_wait
        self.opened: int = 0
        self.exits: int = 0
        self.closed: int = 0

    async def __aenter__(self) -> Watched:
        """Enter the other. What that returns is the user's and of no concern here."""
        entering = self._enter(self._manager)
        if self._is_async:
            await _Told(_as_coroutine(entering), OPENING, self._on_wait)
        self.opened += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Exit the other, and return whether it suppresses the exception."""
        self.exits += 1
        try:
            done = self._exit(self._manager, exc_type, exc, traceback)
            if self._is_async:
                done = await _Told(_as_coroutine(done), CLOSING, self._on_wait)
            return bool(done)
        finally:
            self.closed += 1


@final
class Cancelling:
    """Cancels at one wait of a step, and remembers that it did: an `OnWait`.

    While it opens, both tasks are cancelled, as by a loop that shuts down: the one that asked for
    it and the host, so that the manager is hit at this very wait. While it closes, only the one
    that asked: no scope lets go of a finalizer because of that.
    """

    def __init__(self, phase: Phase, number: int) -> None:
        self._at = phase, number
        self.owner: asyncio.Task[Any] | None = None
        self.done: bool = False

    def __call__(self, phase: Phase, number: int) -> None:
        """Hear of a wait, and cancel if it is the one. Called in the task that enters and exits."""
        if (phase, number) != self._at:
            return
        self.done = True
        host = asyncio.current_task() if phase is OPENING else None
        for task in filter(None, (self.owner, host)):
            task.get_loop().call_soon(task.cancel)


@final
class _Told(Generator[Any, Any, T]):
    """Awaits a coroutine, and tells of each wait once it is known what is waited for.

    Attributes:
        cr_await: the coroutine, by the name under which one coroutine shows that it awaits another.
    """

    def __init__(self, step: Coroutine[Any, Any, T], phase: Phase, on_wait: OnWait) -> None:
        self.cr_await = step
        self._phase = phase
        self._on_wait = on_wait
        self._number = 0

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: object, /) -> Any:
        """Go on to the next wait."""
        return self._tell(self.cr_await.send(value))

    def throw(self, exc: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """Go on with an exception to the next wait. In three parts, it is deprecated."""
        return self._tell(self.cr_await.throw(exc))

    def _tell(self, awaited: object) -> object:
        self._number += 1
        self._on_wait(self._phase, self._number)
        return awaited


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable
