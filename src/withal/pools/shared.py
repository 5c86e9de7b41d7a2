"""One resource that any number of tasks use at once."""

from __future__ import annotations

import sys
from asyncio import current_task
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, TypeVar, final, overload

from withal._core.managers import AsyncManager, Manager, SyncManager, name_of
from withal._core.scope import Scope
from withal.pools.cell import Cell
from withal.pools.entries import Entries
from withal.pools.options import check_open
from withal.pools.sharing import Sharing
from withal.pools.statistics import Holder
from withal.pools.use import Use

T = TypeVar("T")


@final
class Shared(AbstractAsyncContextManager[T], Generic[T]):
    """One resource for any number of users at once: opened for the first, closed after the last.

    It is entered by as many tasks as want to, and as often: ``async with shared as value``. While
    it opens, all wait for the same opening. A cancellation of one of them, even of the first, does
    not affect the others. A failure is raised in all that wait; the next user tries again. A user
    who comes while it closes waits until it can be opened again.

    The last user waits until it is closed, and gets the error if that fails. After a linger there
    is no user to get the error: the scope raises it, or, without a scope, the loop's exception
    handler is called. If the resource dies in use, all that use it are cancelled and get an error.

    Without a scope it has no owner, and closes after its last user and `linger`, at the
    latest when the loop ends, as `asyncio.run` ends it. It may then be opened again by another
    loop. The context variables of its opening are those where it was made. With a scope it closes
    where that closes, in its order and within its deadline; those that use it still are then named
    by `PoolCloseTimeoutError`.

    Args:
        open: called without arguments each time that it is opened; returns any context manager.
        linger: seconds that it stays open without users; None for as long as its scope or loop.
        scope: the owner. If that is open, this takes its place in the order now, else when it is
            used first.
        close_timeout: seconds that closing may take, where no scope sets the time.
        name: what it is called in errors and events; by default as `open` is.

    Raises:
        TypeError: an argument is of the wrong type, such as a manager in place of a function.
        ValueError: a time is negative.

    Example:
        >>> import asyncio, contextlib
        >>> @contextlib.asynccontextmanager
        ... async def load():
        ...     print("load")
        ...     yield {"colour": "blue"}
        ...     print("forget")
        >>> settings = Shared(load)
        >>> async def work(name) -> None:
        ...     async with settings as value:
        ...         print(name, "has", value["colour"])
        >>> async def main() -> None:
        ...     await asyncio.gather(work("ann"), work("bob"))
        >>> asyncio.run(main())
        load
        ann has blue
        bob has blue
        forget
    """

    @overload
    def __init__(
        self,
        open: Callable[[], AsyncManager[T]],  # it is what is shared
        *,
        linger: float | None = 0.0,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        open: Callable[[], SyncManager[T]],
        *,
        linger: float | None = 0.0,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        open: Callable[[], Manager[T]],  # noqa: A002
        *,
        linger: float | None = 0.0,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None:
        name = name_of(open) if name is None else name
        check_open(f"{name!r}: open", open)
        self._sharing = Sharing(name, linger=linger, close_timeout=close_timeout, scope=scope)
        self._cell = Cell(self._sharing, open)
        self._entries = Entries()

    def __repr__(self) -> str:
        sharers = self._cell.sharers
        return f"<Shared {self.name!r} {sharers.stage.value}, {len(sharers.uses)} in use>"

    @property
    def name(self) -> str:
        """What it is called."""
        return self._sharing.name

    @property
    def state(self) -> str:
        """``"empty"``, ``"opening"``, ``"open"`` or ``"closing"``."""
        return self._cell.sharers.stage.value

    def holders(self) -> tuple[Holder, ...]:
        """Return who uses it: task, line and since when; the longest first."""
        return self._sharing.holders()

    async def __aenter__(self) -> T:
        """Wait until it is open, and use it.

        Raises:
            PoolClosedError: its scope has closed.
            ScopeClosedError: its scope is not open yet.
            RuntimeError: it is open in another event loop, or was before a fork.
            BaseException: what opening it raises.
        """
        frame = sys._getframe(1)
        use = Use(frame.f_code, frame.f_lasti)
        await enter(self._cell, use)
        self._entries.add(self._cell, use)
        return self._cell.value  # type: ignore[no-any-return]  # the manager's own

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End this use, and close the resource if it was the last.

        Raises:
            ResourceLostError: it has died in use.
            BaseException: what closing it raises.
        """
        return await leave(self._entries, exc, self.name)


async def enter(cell: Cell, use: Use) -> None:
    """Use a cell, in the calling task."""
    sharing = cell.sharing
    sharing.check()
    use.belongs_to(current_task())
    use.since = sharing.clock()
    if not cell.take(use):
        await cell.wait(use)
    use.begin()


async def leave(entries: Entries, exc: BaseException | None, name: str) -> bool:
    """End the use that the calling task has begun last."""
    entered = entries.pop()
    if entered is None:
        raise RuntimeError(f"{name!r} was left without having been entered")
    cell, use = entered
    return await cell.leave(use, exc)
