"""Pools: resources that are opened once and used by many tasks, one at a time."""

from __future__ import annotations

import sys
from asyncio import current_task
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import EllipsisType, TracebackType
from typing import Any, Generic, TypeVar, final, overload

from withal._core.errors import AlreadyEnteredError
from withal._core.managers import AsyncManager, EmitsEvents, Manager, SyncManager, name_of
from withal._core.printable import printable
from withal._core.scope import Scope
from withal.pools.acquisition import Acquisition
from withal.pools.engine import Engine
from withal.pools.errors import NotHeldError, PoolClosedError
from withal.pools.member import HELD
from withal.pools.options import PoolOptions, check_open, check_seconds, checked_name
from withal.pools.queue import Queue
from withal.pools.statistics import Holder, PoolStatistics

T = TypeVar("T")


@final
class Pool(EmitsEvents, Generic[T]):
    """At most `size` resources, each opened when it is needed and used by one task at a time.

    Each resource is opened and closed in a task of its own, its host. So a cancelled `acquire` does
    not interrupt an opening: the resource goes to the next waiting task. Tasks are served in the
    order in which they called `acquire`, also if others are cancelled at any moment. Of several
    idle resources, the most recently used one is taken.

    A use that ends with a cancellation, or with another `BaseException`, leaves the resource in an
    unknown state; for example, an answer may still arrive. Such a resource is closed and not used
    again, unless `reset` succeeds. The same applies to a use that ends with an exception caused by
    a cancellation, such as the `TimeoutError` of `asyncio.timeout`. If you catch such an exception
    within the use, call `discard`.

    If an opening fails, the first waiting task raises its error; if no resource is open, all
    waiting tasks do. The next opening begins after a delay of at most half a second.

    When the pool closes, it accepts no new users. Idle resources close immediately, and those in
    use when they are returned. Resources that are still held at the deadline are closed while in
    use, and `PoolCloseTimeoutError` names their holders. The pool is a scope of its own. It may be
    entered into another scope, declared with `withal.resource`, and created before a loop runs. It
    can be entered once, and used only in the loop and the process that entered it.

    Args:
        open: called without arguments for each resource; returns any asynchronous or synchronous
            context manager. Users get the value that entering it returns.
        size: the maximum number of resources, including those that are opening or closing.
        warm: the number of resources that are opened when the pool is entered, and kept open from
            then on. If one of them fails to open, entering the pool fails.
        max_waiting: the maximum number of waiting tasks, not counting those for which a resource
            is being opened; for one more, `acquire` raises `PoolFullError`. None for no limit.
        acquire_timeout: seconds that `acquire` waits if it has no `timeout` of its own; None for no
            limit.
        idle_timeout: seconds after which an idle resource is closed; None for never.
        max_age: seconds after which a resource is closed, when it is not in use. The age of each is
            randomly reduced by up to a tenth, so that not all are reopened at the same time.
        check: called with an idle resource before it is used, but not with a newly opened one. If
            it returns false or raises, the resource is closed (with the error, if any) and the
            next one is tried. It may be plain or asynchronous, as may `reset`.
        check_after: seconds for which a resource must have been idle to be checked; by default 0.
        reset: called with the resource after each use. If it returns false or raises, the resource
            is closed; the error is raised at the end of the use. It also runs after a use that was
            cancelled; the cancellation does not interrupt it.
        held_too_long: seconds after which a use causes a `HeldTooLongWarning`, at the line that
            has acquired the resource.
        close_timeout: seconds that closing the pool may take; also the limit of each `check`, each
            `reset`, and of closing one resource earlier.
        name: the pool's name in errors and events; by default the name of `open`.

    Raises:
        TypeError: if an argument has the wrong type, such as a manager in place of a function.
        ValueError: if a number is out of range.

    Example:
        >>> import asyncio, contextlib
        >>> @contextlib.asynccontextmanager
        ... async def connect():
        ...     print("connect")
        ...     yield "connection"
        ...     print("disconnect")
        >>> async def work(pool, name) -> None:
        ...     async with pool.acquire(timeout=5) as connection:
        ...         print(name, "uses the", connection)
        >>> async def main() -> None:
        ...     async with Pool(connect, size=1) as pool:
        ...         await asyncio.gather(work(pool, "ann"), work(pool, "bob"))
        >>> asyncio.run(main())
        connect
        ann uses the connection
        bob uses the connection
        disconnect
    """

    @overload
    def __init__(
        self,
        open: Callable[[], AsyncManager[T]],  # shadows the built-in, on purpose
        *,
        size: int,
        warm: int = 0,
        max_waiting: int | None = None,
        acquire_timeout: float | None = None,
        idle_timeout: float | None = 600.0,
        max_age: float | None = None,
        check: Callable[[T], Awaitable[object] | object] | None = None,
        check_after: float | None = None,
        reset: Callable[[T], Awaitable[object] | object] | None = None,
        held_too_long: float | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        open: Callable[[], SyncManager[T]],
        *,
        size: int,
        warm: int = 0,
        max_waiting: int | None = None,
        acquire_timeout: float | None = None,
        idle_timeout: float | None = 600.0,
        max_age: float | None = None,
        check: Callable[[T], Awaitable[object] | object] | None = None,
        check_after: float | None = None,
        reset: Callable[[T], Awaitable[object] | object] | None = None,
        held_too_long: float | None = None,
        close_timeout: float = 10.0,
        name: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        open: Callable[[], Manager[T]],  # noqa: A002
        *,
        size: int,
        name: str | None = None,
        **options: Any,  # typed by the overloads; `PoolOptions` checks them
    ) -> None:
        name = checked_name(name_of(open) if name is None else name)
        check_open(f"pool {name!r}: open", open)
        self._open = open
        self._options = PoolOptions(name, size, **options)
        self._scope = Scope(name, close_timeout=self._options.close_timeout)
        self._engine: Engine | None = None

    def __repr__(self) -> str:
        now = self.statistics()
        return (
            f"<Pool {now.name!r} {self._scope.state}: {now.held} held, {now.idle} idle, "
            f"{now.waiting} waiting, of {now.size}>"
        )

    @property
    def name(self) -> str:
        """The pool's name."""
        return self._options.name

    @property
    def state(self) -> str:
        """``"new"``, ``"open"``, ``"closing"`` or ``"closed"``."""
        return self._scope.state

    async def __aenter__(self) -> Pool[T]:
        """Open the pool, and as many resources as `warm` says.

        Raises:
            AlreadyEnteredError: if it was entered before.
            BaseException: the error of opening one of these resources.
        """
        if self._engine is not None:
            raise AlreadyEnteredError(self.name)
        scope = self._scope
        await scope.__aenter__()
        self._engine = engine = Engine(self._options, self._open, scope._leave_to_others())
        if self._options.warm:
            try:
                await engine.warm_up()
            except BaseException as exc:
                await scope.__aexit__(type(exc), exc, exc.__traceback__)
                raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Close the pool: wait for its users, and close all of its resources.

        Raises:
            PoolCloseTimeoutError: if resources were still held at the deadline.
            CloseTimeoutError: if a resource had not closed by then.
            BaseException: the error of closing a resource, if it was not raised in a user's task.
            BaseExceptionGroup: if there is more than one such error, or one besides the body's.
            RuntimeError: if this is another process than the one that entered the pool.
        """
        if self._engine is not None:
            self._engine.home.check()
        return await self._scope.__aexit__(exc_type, exc, traceback)

    async def aclose(self) -> None:
        """Close the pool now, from any task, as `Scope.aclose` does."""
        if self._engine is not None:
            self._engine.home.check()
        await self._scope.aclose()

    def acquire(
        self, *, timeout: float | EllipsisType | None = ...
    ) -> AbstractAsyncContextManager[T]:
        """Return a context manager for a resource of the pool: ``async with pool.acquire()``.

        Entering it waits for a resource, after all tasks that are waiting already. If the wait is
        cancelled, the resource goes to the next waiting task. It can be entered once.

        At the end of the block the resource is returned to the pool, or closed if it cannot be used
        again; the block waits for that. A cancellation that arrives meanwhile is raised when this
        is done.

        Args:
            timeout: seconds to wait; None for no limit; by default the `acquire_timeout`.

        Raises:
            PoolClosedError: if the pool is not open, or closes while the task waits.
            PoolTimeoutError: if no resource became free in time; it names the holders.
            PoolFullError: if `max_waiting` tasks are waiting already.
            PoolDeadlockError: if the task itself holds all resources.
            ResourceLostError: at the end of the block, if the resource was cancelled while in use.
            RuntimeError: if this is another event loop or process than the pool's.
            ValueError: if the timeout is negative.
            BaseException: the error of opening a resource; at the end of the block, that of `reset`
                or of closing it.
        """
        engine = self._engine
        if engine is None:
            raise PoolClosedError(self.name, "new")
        if timeout is ...:
            timeout = self._options.acquire_timeout
        elif timeout is not None:
            check_seconds(f"pool {self.name!r}: timeout", timeout)
        frame = sys._getframe(1)
        return Acquisition(engine, timeout, frame.f_code, frame.f_lasti)

    def discard(self, value: T) -> None:
        """Close a held resource at the end of its use, so that it is not used again.

        Raises:
            NotHeldError: if it is not held: it is not the pool's, or was returned already.
        """
        members = [] if self._engine is None else self._engine.queue.held()
        held = [each for each in members if each.value is value and each.state is HELD]
        if not held:
            raise NotHeldError(self.name, printable(repr(value)))
        task = current_task()
        own = [each for each in held if each.use is not None and each.use.task is task]
        (own or held)[-1].discarded = True

    def statistics(self) -> PoolStatistics:
        """Return the present counts of the pool and its totals so far, as frozen data."""
        queue = Queue(self._options) if self._engine is None else self._engine.queue
        return queue.statistics()

    def holders(self) -> tuple[Holder, ...]:
        """Return the holders of resources: task, line and since when; the longest first."""
        return () if self._engine is None else self._engine.holders()

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Let the scope that enters this pool send its events."""
        return self._scope._delegate_events(name)
