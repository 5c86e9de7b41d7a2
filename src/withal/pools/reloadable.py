"""`Reloadable`: a shared resource that can be replaced while it is in use."""

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
    """A resource with any number of users at once, as with `Shared`, that `reload` replaces.

    A new user gets the newest version. A user of an older version keeps it until the end of the
    use. An older version closes after its last user, or after `drain_timeout`.

    Args:
        open: called without arguments for each version; returns any context manager.
        linger: seconds that the newest version stays open without users; by default as long as its
            scope, or, without one, as its loop.
        drain_timeout: seconds after which an older version closes even while it is in use; a
            `HeldTooLongWarning` is issued for each such use, at its line. None for never.
        scope: the owner, as with `Shared`.
        close_timeout: seconds that closing a version may take, if no scope sets the deadline.
        name: the name in errors and events; by default the name of `open`.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if a time is negative.

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
        open: Callable[[], AsyncManager[T]],  # shadows the built-in, on purpose
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
        """The name in errors and events."""
        return self._sharing.name

    @property
    def generation(self) -> int:
        """The number of the newest version, from 1; 0 before the first has opened."""
        return self._generation

    def holders(self) -> tuple[Holder, ...]:
        """Return the users of all versions: task, line and since when; the longest first."""
        return self._sharing.holders()

    async def reload(self) -> None:
        """Open a new version, which replaces the present one when it is open.

        If opening fails, the old version stays. Calls during a reload wait for the same reload. If
        all calls are cancelled, the reload continues and replaces the old version.

        Raises:
            PoolClosedError: if its scope has closed.
            ScopeClosedError: if its scope is not open yet.
            RuntimeError: if it is open in another event loop, or was opened before a fork.
            BaseException: the error of opening the new version. An error of closing the old one is
                raised in the task of its last user, or handled as with `Shared`.
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
        """Wait until it is open, and return the newest version.

        Raises:
            PoolClosedError: if its scope has closed.
            ScopeClosedError: if its scope is not open yet.
            RuntimeError: if it is open in another event loop, or was opened before a fork.
            BaseException: the error of opening it.
        """
        frame = sys._getframe(1)
        use = Use(frame.f_code, frame.f_lasti)
        cell = self._current
        await enter(cell, use)
        self._entries.add(cell, use)
        return cell.value  # type: ignore[no-any-return]  # has the type of the manager's value

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End this use; close the version if it is an older one and this was its last use.

        Raises:
            ResourceLostError: if it has died in use.
            BaseException: the error of closing it.
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
