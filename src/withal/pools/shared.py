"""`Shared`: one resource that any number of tasks use at once."""

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

    Any number of tasks can enter it, any number of times: ``async with shared as value``. While it
    opens, all of them wait for the same opening. A cancellation of one task, even of the first,
    does not affect the others. If opening fails, all waiting tasks raise the error; the next user
    tries again. A task that enters while it closes waits until it can be opened again.

    The last user waits until it is closed, and raises the error if that fails. After a linger no
    user is left: the scope raises the error, or, without a scope, the loop's exception handler is
    called. If the resource dies in use, all of its users are cancelled and raise an error.

    Without a scope it has no owner, and closes after its last user and `linger`, or when
    `asyncio.run` ends the loop. It may then be opened again in another loop. It is opened in a copy
    of the context in which the `Shared` was created. With a scope it closes when the scope closes,
    in the order and within the deadline of the scope; `PoolCloseTimeoutError` names tasks that
    still use it then.

    Args:
        open: called without arguments each time that it is opened; returns any context manager.
        linger: seconds that it stays open without users; None for as long as its scope or loop.
        scope: the owner. Its position in the scope's order of closing is taken now, if the scope is
            open, or else at its first use.
        close_timeout: seconds that closing may take, if no scope sets the deadline.
        name: the name in errors and events; by default the name of `open`.

    Raises:
        TypeError: if an argument has the wrong type, such as a manager in place of a function.
        ValueError: if a time is negative.

    Example:
        >>> import asyncio, contextlib
        >>> @contextlib.asynccontextmanager
        ... async def load():
        ...     await asyncio.sleep(0.01)  # reads a file
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
        open: Callable[[], AsyncManager[T]],  # shadows the built-in, on purpose
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
        """The name in errors and events."""
        return self._sharing.name

    @property
    def state(self) -> str:
        """``"empty"``, ``"opening"``, ``"open"`` or ``"closing"``."""
        return self._cell.sharers.stage.value

    def holders(self) -> tuple[Holder, ...]:
        """Return its users: task, line and since when; the longest first."""
        return self._sharing.holders()

    async def __aenter__(self) -> T:
        """Wait until it is open, and return its value.

        Raises:
            PoolClosedError: if its scope has closed.
            ScopeClosedError: if its scope is not open yet.
            RuntimeError: if it is open in another event loop, or was opened before a fork.
            BaseException: the error of opening it.
        """
        frame = sys._getframe(1)
        use = Use(frame.f_code, frame.f_lasti)
        await enter(self._cell, use)
        self._entries.add(self._cell, use)
        return self._cell.value  # type: ignore[no-any-return]  # has the type of the manager's value

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End this use, and close the resource if it was the last.

        Raises:
            ResourceLostError: if it has died in use.
            BaseException: the error of closing it.
        """
        return await leave(self._entries, exc, self.name)


async def enter(cell: Cell, use: Use) -> None:
    """Begin a use of a cell, in the calling task."""
    sharing = cell.sharing
    sharing.check()
    use.belongs_to(current_task())
    use.since = sharing.clock()
    if not cell.take(use):
        await cell.wait(use)
    use.begin()


async def leave(entries: Entries, exc: BaseException | None, name: str) -> bool:
    """End the last use that the calling task has begun."""
    entered = entries.pop()
    if entered is None:
        raise RuntimeError(f"{name!r} was exited without having been entered; use `async with`")
    cell, use = entered
    return await cell.leave(use, exc)
