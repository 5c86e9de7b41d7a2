"""A shared resource that can be replaced while it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, TypeVar, final, overload

from withal._core.managers import AsyncManager, Manager, SyncManager, name_of
from withal._core.scope import Scope
from withal.pools.cell import Cell
from withal.pools.entries import Entries
from withal.pools.options import check_open, check_seconds
from withal.pools.shared import enter, leave
from withal.pools.sharing import Sharing
from withal.pools.statistics import Holder
from withal.pools.use import Use

T = TypeVar("T")


@final
class Reloadable(AbstractAsyncContextManager[T], Generic[T]):
    """A resource that any number use at once, as with `Shared`, and that `reload` replaces.

    A new user gets the newest. A user of an older one keeps it until the end of the use.
    An older one closes after its last user, or when `drain_timeout` is over.

    Args:
        open: called without arguments each time that it is opened; returns any context manager.
        linger: seconds that the newest stays open without users; by default for as long as its
            scope, or, without one, as its loop.
        drain_timeout: seconds after which an older one closes even under its users, who are warned
            of by a `HeldTooLongWarning` at their lines; None for never.
        scope: the owner, as with `Shared`.
        close_timeout: seconds that closing one may take, where no scope sets the time.
        name: what it is called in errors and events; by default as `open` is.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: a time is negative.

    Example:
        >>> import asyncio, contextlib, itertools
        >>> versions = itertools.count(1)
        >>> @contextlib.asynccontextmanager
        ... async def load():
        ...     version = next(versions)
        ...     try:
        ...         yield version
        ...     finally:
        ...         print("version", version, "is closed")
        >>> model = Reloadable(load)
        >>> async def main() -> None:
        ...     async with model as old:
        ...         await model.reload()
        ...         async with model as new:
        ...             print(old, new, model.generation)
        >>> asyncio.run(main())
        1 2 2
        version 1 is closed
        version 2 is closed
    """

    @overload
    def __init__(
        self,
        open: Callable[[], AsyncManager[T]],  # it is what is shared
        *,
        linger: float | None = None,
        drain_timeout: float | None = None,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        open: Callable[[], SyncManager[T]],
        *,
        linger: float | None = None,
        drain_timeout: float | None = None,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        open: Callable[[], Manager[T]],  # noqa: A002
        *,
        linger: float | None = None,
        drain_timeout: float | None = None,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None:
        name = name_of(open) if name is None else name
        check_open(f"{name!r}: open", open)
        check_seconds(f"{name!r}: drain_timeout", drain_timeout)
        self._open = open
        self._drain_timeout = drain_timeout
        self._sharing = Sharing(name, linger=linger, close_timeout=close_timeout, scope=scope)
        self._generation = 0
        self._current = self._new()
        self._next: Cell | None = None
        self._entries = Entries()

    def __repr__(self) -> str:
        return (
            f"<Reloadable {self.name!r}: generation {self.generation}, "
            f"{len(self._sharing.cells)} open, {self._sharing.use_count} in use>"
        )

    @property
    def name(self) -> str:
        """What it is called."""
        return self._sharing.name

    @property
    def generation(self) -> int:
        """How often it has been opened; that of the newest."""
        return self._generation

    def holders(self) -> tuple[Holder, ...]:
        """Return who uses it, of any generation: task, line and since when; the longest first."""
        return self._sharing.holders()

    async def reload(self) -> None:
        """Open a new one, which takes the place of the one there is once it is open.

        If that fails the old one stays. Calls while one is under way wait for the same. When all
        that wait for it are cancelled, it goes on, and replaces the old one.

        Raises:
            PoolClosedError: its scope has closed.
            ScopeClosedError: its scope is not open yet.
            RuntimeError: it is open in another event loop, or was before a fork.
            BaseException: what opening the new one raises; what closing the old one raises goes to
                its last user, or as with `Shared`.
        """
        self._sharing.check()
        if self._next is None:
            self._next = self._new()
        cell = self._next
        frame = sys._getframe(1)
        use = Use(frame.f_code, frame.f_lasti)
        await enter(cell, use)
        await cell.leave(use, None)

    async def __aenter__(self) -> T:
        """Wait until it is open, and use the newest.

        Raises:
            PoolClosedError: its scope has closed.
            ScopeClosedError: its scope is not open yet.
            RuntimeError: it is open in another event loop, or was before a fork.
            BaseException: what opening it raises.
        """
        frame = sys._getframe(1)
        use = Use(frame.f_code, frame.f_lasti)
        cell = self._current
        await enter(cell, use)
        self._entries.add(cell, use)
        return cell.value  # type: ignore[no-any-return]  # the manager's own

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End this use, and close what was used if it is an older one and this was the last.

        Raises:
            ResourceLostError: it has died in use.
            BaseException: what closing it raises.
        """
        return await leave(self._entries, exc, self.name)

    def _new(self) -> Cell:
        return Cell(self._sharing, self._open, self._has_opened, self._has_emptied)

    def _has_opened(self, cell: Cell) -> None:
        self._generation += 1
        if cell is self._next:
            old, self._current, self._next = self._current, cell, None
            old.end_after_last(self._drain_timeout)

    def _has_emptied(self, cell: Cell) -> None:
        if cell is self._next:
            self._next = None
