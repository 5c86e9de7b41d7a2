"""`Keyed`: one shared resource for each key."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import CodeType, TracebackType
from typing import Generic, TypeVar, final, overload

from withal._core.errors import AlreadyEnteredError
from withal._core.managers import AsyncManager, Manager, SyncManager, name_of
from withal._core.printable import printable
from withal._core.scope import Scope
from withal.pools.cell import Cell
from withal.pools.options import check_open
from withal.pools.shared import enter
from withal.pools.sharing import Sharing
from withal.pools.statistics import Holder
from withal.pools.use import Use

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@final
class Keyed(Generic[K, T]):
    """One resource for each key, each with any number of users at once, as with `Shared`.

    ``async with sessions(tenant) as session``: the resource of a key is opened for its first user
    and closed after its last user and `linger`. Each key behaves like one `Shared`.

    Args:
        open: called with the key each time that its resource is opened; returns any context
            manager.
        linger: seconds that a resource stays open without users; None for as long as its scope or
            loop.
        limit: the maximum number of open resources. Beyond it, idle ones are closed, the least
            recently used first. A resource in use is never closed for this, so there may be more.
        scope: the owner, as with `Shared`.
        close_timeout: seconds that closing one may take, if no scope sets the deadline.
        name: the name in errors and events; by default the name of `open`.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if a number is out of range.

    Example:
        >>> import asyncio, contextlib
        >>> @contextlib.asynccontextmanager
        ... async def connect(tenant):
        ...     await asyncio.sleep(0.01)  # logs in
        ...     print("connected", tenant)
        ...     try:
        ...         yield f"session of {tenant}"
        ...     finally:
        ...         print("disconnect", tenant)
        >>> sessions = Keyed(connect, linger=60, limit=1)
        >>> async def main() -> None:
        ...     for tenant in "ann", "ann", "bob":
        ...         async with sessions(tenant) as session:
        ...             print(session)
        >>> asyncio.run(main())
        connected ann
        session of ann
        session of ann
        disconnect ann
        connected bob
        session of bob
        disconnect bob
    """

    @overload
    def __init__(
        self,
        open: Callable[[K], AsyncManager[T]],  # shadows the built-in, on purpose
        *,
        linger: float | None = 0.0,
        limit: int | None = None,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        open: Callable[[K], SyncManager[T]],
        *,
        linger: float | None = 0.0,
        limit: int | None = None,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        open: Callable[[K], Manager[T]],  # noqa: A002
        *,
        linger: float | None = 0.0,
        limit: int | None = None,
        scope: Scope | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None:
        name = name_of(open) if name is None else name
        check_open(f"{name!r}: open", open)
        _check_limit(name, limit)
        self._open = open
        self._cells: dict[K, Cell] = {}
        self._sharing = Sharing(
            name, linger=linger, close_timeout=close_timeout, scope=scope, limit=limit
        )

    def __repr__(self) -> str:
        return f"<Keyed {self.name!r}: {len(self)} open, {self._sharing.use_count} in use>"

    def __len__(self) -> int:
        """Return how many are open, opening or closing."""
        return len(self._sharing.cells)

    @property
    def name(self) -> str:
        """The name in errors and events."""
        return self._sharing.name

    def keys(self) -> tuple[K, ...]:
        """Return the keys whose resource is open, opening or closing."""
        return tuple(self._cells)

    def holders(self) -> tuple[Holder, ...]:
        """Return the users: task, line and since when; the longest first."""
        return self._sharing.holders()

    def __call__(self, key: K) -> AbstractAsyncContextManager[T]:
        """Return a context manager that uses the resource of a key. It can be entered once.

        Raises:
            TypeError: if the key is not hashable.
            PoolClosedError: on entering, if the scope has closed.
            ScopeClosedError: on entering, if the scope is not open yet.
            RuntimeError: on entering, if it is in use in another event loop, or was opened before
                a fork.
            BaseException: on entering, the error of opening the resource; on exiting, that of
                closing it.
        """
        hash(key)
        frame = sys._getframe(1)
        return _KeyedUse(self, key, frame.f_code, frame.f_lasti)

    def cell(self, key: K) -> Cell:
        """Return the cell of a key; create it if there is none."""
        self._sharing.check()
        cell = self._cells.get(key)
        if cell is None:
            self._sharing.evict(1)
            emptied = partial(self._forget, key)
            cell = Cell(self._sharing, partial(self._open, key), emptied=emptied)
            self._cells[key] = cell
        return cell

    def _forget(self, key: K, cell: Cell) -> None:
        if self._cells.get(key) is cell:
            del self._cells[key]


@final
class _KeyedUse(Use, AbstractAsyncContextManager[T], Generic[K, T]):
    """One use of the resource of a key."""

    __slots__ = ("_cell", "_key", "_keyed")

    def __init__(self, keyed: Keyed[K, T], key: K, code: CodeType, offset: int) -> None:
        super().__init__(code, offset)
        self._keyed = keyed
        self._key = key
        self._cell: Cell | None = None

    def __repr__(self) -> str:
        return f"<use of {self._keyed.name!r} for {printable(repr(self._key))}>"

    async def __aenter__(self) -> T:
        if self.task is not None:
            raise AlreadyEnteredError(repr(self))
        cell = self._keyed.cell(self._key)
        await enter(cell, self)
        self._cell = cell
        return cell.value  # type: ignore[no-any-return]  # has the type of the manager's value

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        cell, self._cell = self._cell, None
        if cell is None:
            raise RuntimeError(f"{self!r} was exited without having been entered; use `async with`")
        return await cell.leave(self, exc)


def _check_limit(name: str, limit: object) -> None:
    if limit is None:
        return
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise TypeError(f"{name!r}: limit must be an int or None, got {limit!r}")
    if limit < 1:
        raise ValueError(f"{name!r}: limit must be one or more, or None for no limit; got {limit}")
