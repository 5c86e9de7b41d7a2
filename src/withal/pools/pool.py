"""Pools: resources that are opened once and used by many, one after the other."""

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
from withal.pools.options import Options, check_open, check_seconds, checked_name
from withal.pools.queue import Queue
from withal.pools.statistics import Holder, PoolStatistics

T = TypeVar("T")


@final
class Pool(EmitsEvents, Generic[T]):
    """At most `size` resources, each opened when it is needed and used by one task at a time.

    Each resource is opened and closed in a task of its own, its host, so that a cancelled
    `acquire` does not interrupt an opening: the resource goes to the next task that waits. Tasks
    are served in the order in which they came. No task is passed over when others are cancelled,
    however late. Of several idle resources, the one used last is given out.

    A use that ends by a cancellation, or by another `BaseException`, leaves a resource in an
    unknown state, with an answer still on its way perhaps. Such a resource is closed, and not
    given to another, unless `reset` makes it good. That includes a use that ends by an
    exception which a cancellation has led to, as a `TimeoutError` of `asyncio.timeout` does. Where
    such an exception is caught within the use, call `discard`.

    An opening that fails raises its error in the task that waits first, or, if nothing at all is
    open, in all that wait. The next opening begins a moment later, at most half a second.

    When the pool closes, new users are refused. Idle resources close at once, and those in use as
    soon as they are given back. What is still held at the deadline is closed under its user, and
    named by `PoolCloseTimeoutError`. The pool is a scope of its own, and may be entered into
    another, declared with `withal.resource`, or made before there is a loop. It is entered once,
    and is of use in the loop and the process that entered it only.

    Args:
        open: called without arguments for each resource; returns any asynchronous or synchronous
            context manager. What it gives is what users get.
        size: how many there may be at once. One that is being opened or closed counts.
        warm: how many are opened when the pool is entered, which fails if they do, and are kept
            open from then on.
        max_waiting: how many tasks may wait beyond those that something is being opened for; to
            one more, `acquire` raises `PoolFullError`.
        acquire_timeout: seconds that `acquire` may take if it has no `timeout` of its own; None
            for no limit.
        idle_timeout: seconds after which an idle one is closed; None for never.
        max_age: seconds after which one is closed, once it is idle. Each lives up to a tenth
            shorter, so that not all are opened again at once.
        check: called with one that was idle before it is used. If it returns false or raises,
            the resource is closed, with the error if there is one, and the next is tried; a newly
            opened one is not checked. Plain or asynchronous, as is `reset`.
        check_after: seconds that one must have been idle to be checked; zero if not given.
        reset: called with one after each use. If it returns false or raises, the resource is
            closed; the error is raised at the end of the use. It also runs after a use that was
            cancelled, and is itself not cancelled with it.
        held_too_long: seconds after which a use is warned of, by a `HeldTooLongWarning` at the
            line that has acquired it.
        close_timeout: seconds that closing the pool may take, and each `check`, each `reset` with
            what it entails, and the closing of each resource before that.
        name: what the pool is called in errors and events; by default as `open` is.

    Raises:
        TypeError: an argument is of the wrong type, such as a manager in place of a function.
        ValueError: a number is out of its range.

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
        open: Callable[[], AsyncManager[T]],  # it is what a pool does
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
        **options: Any,  # as the overloads have them; `Options` checks each
    ) -> None:
        name = checked_name(name_of(open) if name is None else name)
        check_open(f"pool {name!r}: open", open)
        self._open = open
        self._options = Options(name, size, **options)
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
        """What the pool is called."""
        return self._options.name

    @property
    def state(self) -> str:
        """``"new"``, ``"open"``, ``"closing"`` or ``"closed"``."""
        return self._scope.state

    async def __aenter__(self) -> Pool[T]:
        """Open the pool, with as many resources as are to be kept warm.

        Raises:
            AlreadyEnteredError: it was entered before.
            BaseException: what the opening of a resource raises.
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
        """Close the pool: wait for its users, and close all that it has open.

        Raises:
            PoolCloseTimeoutError: resources were still held at the deadline.
            CloseTimeoutError: a resource had not closed by then.
            BaseException: what closing a resource has raised where no user was there for it.
            BaseExceptionGroup: there was more than one such error, or one beside the body's.
            RuntimeError: this is another process than the one that entered it.
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
        """Return a context manager that has a resource of the pool: ``async with pool.acquire()``.

        Entering it waits for a resource, behind all that wait already. When it is cancelled, what
        it was waiting for goes to the next. It can be entered once.

        At the end of the block the resource is given back, or closed if it is not to be used
        again; that is waited for. A cancellation that arrives meanwhile is raised when it is done.

        Args:
            timeout: seconds to wait; None for no limit; by default the `acquire_timeout`.

        Raises:
            PoolClosedError: the pool is not open, or closes before there is one.
            PoolTimeoutError: no resource became free in time; names the holders.
            PoolFullError: as many as may are waiting already.
            PoolDeadlockError: the task holds all that there are, and would wait for itself.
            ResourceLostError: the resource was cancelled in use; raised at the end of the block.
            RuntimeError: this is another event loop or process than the pool's.
            ValueError: the timeout is negative.
            BaseException: what opening one raises; what `reset` or closing it has raised, at the
                end of the block.
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
        """Have a resource that is held closed when its use ends, in place of given back.

        Raises:
            NotHeldError: it is not held: not the pool's, or given back.
        """
        members = [] if self._engine is None else self._engine.queue.held()
        held = [each for each in members if each.value is value and each.state is HELD]
        if not held:
            raise NotHeldError(self.name, printable(repr(value)))
        task = current_task()
        own = [each for each in held if each.use is not None and each.use.task is task]
        (own or held)[-1].discarded = True

    def statistics(self) -> PoolStatistics:
        """Return what the pool has, and what has happened in it so far, as frozen data."""
        queue = Queue(self._options) if self._engine is None else self._engine.queue
        return queue.statistics()

    def holders(self) -> tuple[Holder, ...]:
        """Return who holds a resource: task, line and since when; the longest first."""
        return () if self._engine is None else self._engine.holders()

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Leave it to the scope that enters this pool to tell of it."""
        return self._scope._delegate_events(name)
