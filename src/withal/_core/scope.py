"""Scopes: the regions of a program that own resources.

This module is long because of its docstrings and overloads, which are best read in one place;
`ScopeState`, the functions beside it and `Declared` implement them.
"""

from __future__ import annotations

from asyncio import Task, current_task
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token, copy_context
from functools import partial
from inspect import iscoroutine
from types import EllipsisType, NoneType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast, final, overload

from withal._core.aliases import Coro
from withal._core.credentials import text_without_credentials
from withal._core.declared.declaration import Declaration, check_declared
from withal._core.declared.plan import Plan
from withal._core.declared.registry import Declared
from withal._core.errors import AlreadyEnteredError, ScopeClosedError
from withal._core.events import Step
from withal._core.lifecycle import CLOSED, CLOSING, OPEN
from withal._core.managers import (
    GENERATOR_MANAGER,
    AsyncManager,
    EmitsEvents,
    Manager,
    SyncManager,
    check_callable,
    check_together,
    name_of,
)
from withal._core.outcome import raise_unchanged
from withal._core.resources.callback import Callback
from withal._core.resources.direct import Direct, is_direct, is_direct_class
from withal._core.resources.hosted import Host
from withal._core.resources.inline import Inline
from withal._core.resources.task import Spawned
from withal._core.scopes.closing import check_closer, close, close_again, close_unowned, waits_for
from withal._core.scopes.context_variables import changes
from withal._core.scopes.opening import (
    not_the_owner,
    open_at_once,
    open_direct,
    open_together,
    reject_late_inline,
)
from withal._core.scopes.release import release
from withal._core.scopes.snapshot import ScopeSnapshot
from withal._core.scopes.starting import openable
from withal._core.scopes.state import ScopeState

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
P = ParamSpec("P")
R = TypeVar("R", bound=Awaitable[object] | object)

_current: ContextVar[Scope | None] = ContextVar("withal_scope", default=None)


@final
class Scope(EmitsEvents):
    """A region of a program that owns resources: ``async with Scope("app") as scope: ...``.

    Each resource that was opened in the scope is closed exactly once when the body ends, whether
    by success, an exception or a cancellation. Resources close in reverse order, those that were
    opened together at the same time, and all within one deadline. Errors of finalizers are raised:
    one error bare, several as an `ExceptionGroup`, the body's first. A cancellation that arrives
    during closing is raised when closing is done.

    Each resource is entered and exited in a task of its own, its host. A synchronous manager cannot
    be cancelled in the middle, so the task that opens or closes it enters or exits it directly.
    Context variables that a manager sets are visible to the body and to resources that open later,
    until the manager closes. If a resource dies in use (its host is cancelled, a task group in it
    fails, a spawned task raises), the scope cancels the body. When the body has left, the scope
    raises the resource's error in place of the cancellation.

    A scope can be entered once. Other tasks than the one that entered it may use it; what they open
    is closed with the rest. A scope may also be entered into another, with `Scope.enter`.

    Args:
        name: the scope's name in errors, events and snapshots.
        close_timeout: seconds that closing may take altogether. Then finalizers that still run are
            cancelled, and reported as `CloseTimeoutError`. Resources that have not begun to close
            still get a quarter of a second together, and 20 ms for each that does not end. A scope
            within another closes within the time that is left to the outer one.
        open_grace: seconds that pending openings get to finish when they are no longer wanted:
            because the caller is cancelled, another resource of the same `enter_all` has failed,
            or the scope closes. Those that finish are closed again, the others are cancelled.
        parent: the scope around this one; by default the scope that is current where this one is
            entered. None for no parent.

    Raises:
        TypeError: if `parent` is neither a scope nor None.
        ValueError: if a time is negative.

    Example:
        >>> import asyncio, contextlib
        >>> @contextlib.asynccontextmanager
        ... async def connection(name):
        ...     print("open", name)
        ...     yield name
        ...     print("close", name)
        >>> async def main() -> None:
        ...     async with Scope("app") as scope:
        ...         config = await scope.enter(connection("config"))
        ...         db, cache = await scope.enter_all(connection("db"), connection("cache"))
        ...         print("use", config, db, cache)
        >>> asyncio.run(main())
        open config
        open db
        open cache
        use config db cache
        close cache
        close db
        close config
    """

    __slots__ = (
        "_declared",
        "_is_held",
        "_state",
        "_token",
        "close_timeout",
        "name",
        "open_grace",
        "parent",
    )

    def __init__(
        self,
        name: str = "scope",
        *,
        close_timeout: float = 10.0,
        open_grace: float = 1.0,
        parent: Scope | EllipsisType | None = ...,
    ) -> None:
        if parent is not ... and not isinstance(cast("object", parent), _PARENTS):
            raise TypeError(f"scope {name!r}: parent must be a Scope or None, got {parent!r}")
        if not (close_timeout >= 0 and open_grace >= 0):  # nor NaN
            raise ValueError(
                f"scope {name!r}: close_timeout and open_grace must be zero or more seconds; "
                f"got {close_timeout!r} and {open_grace!r}"
            )
        self.name: str = name if "@" not in name else text_without_credentials(name)
        self.close_timeout: float = close_timeout
        self.open_grace: float = open_grace
        self.parent: EllipsisType | Scope | None = parent
        self._state: ScopeState | None = None
        self._declared: Declared | None = None
        self._token: Token[Scope | None] | None = None
        self._is_held = False

    def __repr__(self) -> str:
        if self._state is None:
            return f"<Scope {self.name!r} new>"
        count = len(self._state)
        plural = "" if count == 1 else "s"
        return f"<Scope {self._state.path!r} {self.state}, {count} resource{plural}>"

    @property
    def state(self) -> str:
        """``"new"``, ``"open"``, ``"closing"`` or ``"closed"``."""
        return "new" if self._state is None else self._state.phase.value

    async def __aenter__(self) -> Scope:
        """Open the scope and make it the current one.

        Raises:
            AlreadyEnteredError: if it was entered before.
            ScopeClosedError: if its `parent` is not open yet, or closed.
            RuntimeError: if no asyncio task is running.
        """
        if self._state is not None:
            raise AlreadyEnteredError(self.name)
        if self.parent is ... and _current.get() is None:
            self.parent = around = None  # as _state_of_parent() finds, without the call
        else:
            around = _state_of_parent(self)
        state = ScopeState(self.name, self.close_timeout, self.open_grace, around, close_unowned)
        self._state = state
        if state.observers and not self._is_held:
            state.send_own_events()
        self._token = _current.set(self)
        state.context = copy_context()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Close all resources of the scope; if another task is closing them already, wait for it.

        Raises:
            RuntimeError: if closing would wait for the calling task, as for that of a finalizer; or
                if the owner has entered something inline and still runs.
            CloseTimeoutError: if the deadline passed; it names the resources that had not closed.
            ResourceLostError: if a resource was cancelled from outside while in use.
            BaseException: the exception of a resource, a spawned task or a finalizer.
            BaseExceptionGroup: if there is more than one such error, or one besides the body's.
        """
        state = self._state
        if state is None:
            return False
        task = current_task()
        if state.phase is OPEN:
            if state.owner() is not task:
                check_closer(state)
        elif state.phase is CLOSING and waits_for(state, task):
            return False  # a finalizer of this scope closes it again: closing waits for that task
        if self._token is not None:
            self._leave_context()
        if state.phase is OPEN:
            rest = close(state, exc, task)
            if rest is None:
                return None
            error = await rest
        else:
            error = await close_again(state, exc, task)
        if error is not None and error is not exc:
            raise_unchanged(error)
        return exc is not None and error is None

    async def aclose(self) -> None:
        """Close the scope now, as the end of its ``async with`` would after success.

        Any task may call it, any number of times: a call while the scope closes waits until closing
        is done, and a later call does nothing. A cancellation that arrives meanwhile is raised when
        the scope has closed. The body, if it still runs, is not cancelled; from now on its calls
        that open something in the scope raise `ScopeClosedError`.

        Raises:
            ScopeClosedError: if the scope was never entered.
            RuntimeError: if closing would wait for the calling task (that of a finalizer, of a
                spawned task, or of an opening in this scope); if this is another event loop than
                the scope's; or if the owner has entered something inline and still runs: then
                only the owner can close the scope.
            BaseException: the errors of closing, as at the end of ``async with``; raised by the
                first call only.

        Example:
            >>> import asyncio
            >>> class Client:
            ...     async def connect(self) -> None:
            ...         self._scope = Scope("client")
            ...         await self._scope.__aenter__()
            ...         self._scope.defer(print, "disconnected")
            ...     async def close(self) -> None:
            ...         await self._scope.aclose()
            >>> async def main() -> None:
            ...     client = Client()
            ...     await asyncio.create_task(client.connect())
            ...     await asyncio.create_task(client.close())
            >>> asyncio.run(main())
            disconnected
        """
        if self._state is None:
            raise ScopeClosedError(self.name, "new", "")
        if self._state.phase is CLOSING:
            check_closer(self._state)
        await self.__aexit__(None, None, None)

    @overload
    async def enter(
        self, manager: AsyncManager[T], *, name: str | None = None, inline: bool = False
    ) -> T: ...
    @overload
    async def enter(
        self, manager: SyncManager[T], *, name: str | None = None, inline: bool = False
    ) -> T: ...
    async def enter(
        self, manager: Manager[T], *, name: str | None = None, inline: bool = False
    ) -> T:
        """Open one resource, and return the value of its manager's ``__aenter__``.

        If the caller is cancelled meanwhile, the opening gets `open_grace` seconds to finish. If it
        finishes, the resource is closed again. Then the cancellation is raised.

        Args:
            manager: any asynchronous or synchronous context manager.
            name: the resource's name; by default that of its type or function.
            inline: enter it in the caller's own task, as a plain ``async with`` does: for a
                manager that affects the body (a timeout, a cancel scope, a task group). The manager
                is then not protected from cancellations of the caller.

        Raises:
            TypeError: if `manager` is not a context manager.
            AlreadyEnteredError: if it can be entered only once, and has been.
            ScopeClosedError: if the scope is not open.
            ResourceLostError: if the opening was cancelled from outside.
            RuntimeError: if `inline` is set in another task than the one that entered the scope.
            BaseException: the exception that the manager raises.
        """
        state = self._state
        if state is None or state.phase is not OPEN:
            raise self._not_open(manager)
        if inline and not state.is_owned_by_caller():
            raise not_the_owner(state, name or name_of(manager))
        cls = type(manager)
        # is_direct(), without its call in Python for most classes
        if not inline and (
            is_direct_class(cls) or (cls is GENERATOR_MANAGER and is_direct(manager))
        ):
            return open_direct(state, Direct(state, manager, name))  # type: ignore[no-any-return]
        kind = None
        if isinstance(manager, EmitsEvents):
            name, kind = manager._delegate_events(name)
        if not inline:
            host = Host(state, manager, name, kind)
            rest = open_at_once(state, host)
            if rest is not None:
                await rest
            return host.value  # type: ignore[no-any-return]
        resource = Inline(state, manager, name, kind)
        within = state.entered_within
        before = copy_context()
        if resource.observers:
            resource.send(Step.OPENING)
        try:
            value = resource.enter()
            if resource.is_async:
                value = await value
        except BaseException as exc:
            resource.mark_closed(exc)
            raise
        resource.mark_open(value)
        if state.phase is not OPEN:
            await reject_late_inline(state, resource)
        state.resources.add(resource)
        if state.entered_within > within:
            state.note_inline_scopes(resource, within)
        after = copy_context()
        if after != before:
            state.carry(resource, changes(before, after), to_caller=False)
        return value  # type: ignore[no-any-return]

    # Managers of both kinds, such as aiohttp's session, count as asynchronous, so the overloads for
    # asynchronous ones come first.
    @overload
    async def enter_all(self) -> tuple[()]: ...
    @overload
    async def enter_all(self, m1: AsyncManager[T1], /) -> tuple[T1]: ...
    @overload
    async def enter_all(self, m1: AsyncManager[T1], m2: AsyncManager[T2], /) -> tuple[T1, T2]: ...
    @overload
    async def enter_all(
        self, m1: AsyncManager[T1], m2: AsyncManager[T2], m3: AsyncManager[T3], /
    ) -> tuple[T1, T2, T3]: ...
    @overload
    async def enter_all(
        self,
        m1: AsyncManager[T1],
        m2: AsyncManager[T2],
        m3: AsyncManager[T3],
        m4: AsyncManager[T4],
        /,
    ) -> tuple[T1, T2, T3, T4]: ...
    @overload
    async def enter_all(
        self,
        m1: AsyncManager[T1],
        m2: AsyncManager[T2],
        m3: AsyncManager[T3],
        m4: AsyncManager[T4],
        m5: AsyncManager[T5],
        /,
    ) -> tuple[T1, T2, T3, T4, T5]: ...
    @overload
    async def enter_all(
        self,
        m1: AsyncManager[T1],
        m2: AsyncManager[T2],
        m3: AsyncManager[T3],
        m4: AsyncManager[T4],
        m5: AsyncManager[T5],
        m6: AsyncManager[T6],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6]: ...
    @overload
    async def enter_all(self, *managers: AsyncManager[T]) -> tuple[T, ...]: ...
    @overload
    async def enter_all(self, *managers: SyncManager[T]) -> tuple[T, ...]: ...
    @overload
    async def enter_all(self, *managers: Manager[Any]) -> tuple[Any, ...]: ...
    async def enter_all(self, *managers: Manager[object]) -> tuple[object, ...]:
        """Open several resources concurrently, all or nothing, and return their values in order.

        They are closed concurrently too. If one fails, those that have opened are closed again,
        those still opening get `open_grace` seconds to finish before they are cancelled, and the
        errors are raised: one bare, several as a group. A cancellation of the caller is handled
        in the same way.

        Raises:
            TypeError: if one is not a context manager; then none was entered.
            AlreadyEnteredError: if one that can be entered only once has been, or is given twice.
            ScopeClosedError: if the scope is not open.
            BaseException: the exception that a manager raises.
        """
        state = self._open_state("resources")
        check_together(managers)
        hosts = [openable(state, manager) for manager in managers]
        if hosts:
            await open_together(state, hosts)
        return tuple(host.value for host in hosts)

    @overload
    async def open(self, r1: Declaration[T1], /) -> T1: ...
    @overload
    async def open(self, r1: Declaration[T1], r2: Declaration[T2], /) -> tuple[T1, T2]: ...
    @overload
    async def open(
        self, r1: Declaration[T1], r2: Declaration[T2], r3: Declaration[T3], /
    ) -> tuple[T1, T2, T3]: ...
    @overload
    async def open(
        self, r1: Declaration[T1], r2: Declaration[T2], r3: Declaration[T3], r4: Declaration[T4], /
    ) -> tuple[T1, T2, T3, T4]: ...
    @overload
    async def open(self, *resources: Declaration[T]) -> tuple[T, ...]: ...
    async def open(self, *resources: Declaration[object]) -> object:
        """Open declared resources and their dependencies; return the value, or a tuple of values.

        Each is opened once: a resource that is open in this scope or in a parent is reused. The
        others open in this scope, each as soon as its dependencies are open, all or nothing. They
        close in the opposite direction: each as soon as all resources that need it have closed.
        Failure and cancellation are handled as in `enter_all`.

        Raises:
            DeclarationError: if one is not a declared resource, or does not behave as declared.
            DependencyCycleError: if they need each other in a circle, or wait for each other in a
                circle because they call this method while they open.
            ScopeClosedError: if the scope is not open.
            RuntimeError: if this is another event loop than the scope's.
            BaseException: the exception that a resource raises.
        """
        check_declared(resources)
        self._open_state(resources[0].name if resources else "nothing")
        values = await self._declarations().open(resources)
        return values[0] if len(values) == 1 else values

    def plan(self, *resources: Declaration[object]) -> Plan:
        """Return the order in which `open` would open these, as data; ``str()`` draws the tree.

        Raises:
            DeclarationError: if one is not a declared resource.
            DependencyCycleError: if they need each other in a circle.
            ScopeClosedError: if the scope is not open.
        """
        check_declared(resources)
        self._open_state("a plan")
        return self._declarations().plan(resources)

    def override(self, real: Declaration[T], fake: Declaration[T]) -> None:
        """Open `fake`, with its own dependencies, in place of `real`.

        It applies to this scope and to scopes within it, and is meant for tests.

        Raises:
            DeclarationError: if one is not a declared resource.
            AlreadyOpenError: if `real` is open or opening, in this scope or in a parent.
            ScopeClosedError: if the scope is not open.
        """
        check_declared((real, fake))
        self._open_state(fake.name)
        self._declarations().override(real, fake)

    def defer(self, func: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Callable[P, R]:
        """Register a plain or asynchronous function to call when the scope closes; return it.

        It is called before resources that were opened earlier close, in a task of its own, within
        the scope's deadline like any finalizer. The scope raises its exception, if any.

        Raises:
            ScopeClosedError: if the scope is not open.
            TypeError: if `func` is not callable.
        """
        state = self._open_state(name_of(func))
        state.check_loop("defer", name_of(func))
        check_callable(func)
        state.resources.add(Callback(state, partial(func, *args, **kwargs), name_of(func)))
        return func

    def spawn(self, coro: Coro[T], *, name: str | None = None) -> Task[T]:
        """Run a coroutine in a task that the scope owns, and return the task.

        It runs in a copy of the scope's context, not of the caller's. When the scope closes, the
        task is cancelled and awaited before resources that were opened earlier close. If it raises
        before that, the body is cancelled and the scope raises its error. If it returns before
        that, or is cancelled by other code, the scope forgets it.

        Raises:
            ScopeClosedError: if the scope is not open.
            TypeError: if `coro` is not a coroutine.
        """
        if not iscoroutine(coro):
            raise TypeError(
                f"scope.spawn() takes a coroutine, got {coro!r}; call the function: "
                "scope.spawn(work()) in place of scope.spawn(work)"
            )
        try:
            state = self._open_state(name or coro.__name__)
            state.check_loop("spawn", name or coro.__name__)
        except (ScopeClosedError, RuntimeError):
            coro.close()  # so that the interpreter does not warn that it was never awaited
            raise
        spawned = Spawned(state, coro, name)
        state.resources.add(spawned)
        return spawned.value  # type: ignore[no-any-return]

    async def release(self, value: object) -> None:
        """Close one resource early.

        Resources that were opened later stay open, even if they use this one. If several have the
        same value, such as None, the newest is closed. A cancellation that arrives meanwhile is
        raised when the resource is closed. The deadline is the scope's `close_timeout`, from now.

        Args:
            value: the object that entering the resource returned, or its manager.

        Raises:
            NotOpenError: if it is not open in this scope.
            StillNeededError: if a declared resource that is open needs it.
            RuntimeError: if the resource runs in the calling task, or another task entered it
                inline.
            CloseTimeoutError: if its finalizer did not end in time.
            BaseException: the exception that its finalizer raises.
        """
        if self._state is None:
            raise ScopeClosedError(self.name, "new", repr(value))
        await release(self._state, value)

    def snapshot(self) -> ScopeSnapshot:
        """Return the resources of the scope and of the scopes within it now, as frozen data.

        ``str()`` of it draws the tree.
        """
        if self._state is None:
            return ScopeSnapshot(self.name, "new", (), ())
        return self._state.snapshot()

    def _open_state(self, thing: object) -> ScopeState:
        """Return the scope's state; raise `ScopeClosedError` for `thing` if it is not open."""
        state = self._state
        if state is None or state.phase is not OPEN:
            raise self._not_open(thing)
        return state

    def _not_open(self, thing: object) -> ScopeClosedError:
        path = self.name if self._state is None else self._state.path
        name = thing if isinstance(thing, str) else name_of(thing)
        return ScopeClosedError(path, self.state, name)

    def _declarations(self) -> Declared:
        assert self._state is not None
        if self._declared is None:
            missing: list[Scope] = [self]
            while isinstance(parent := missing[-1].parent, Scope) and parent._declared is None:
                missing.append(parent)
            around = parent._declared if isinstance(parent, Scope) else None
            for each in reversed(missing):
                assert each._state is not None
                around = each._declared = Declared(each._state, around)
        assert self._declared is not None
        return self._declared

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Let the scope that enters this one send its events, with the name and kind returned.

        The outer scope knows where this one was entered, as for any resource.
        """
        self._is_held = True
        return name or self.name, "scope"

    def _state_for(self, name: str) -> ScopeState:
        """Return the scope's state, to which the caller adds something of this name.

        Raises:
            ScopeClosedError: if the scope is not open.
            RuntimeError: if it belongs to another event loop.
        """
        state = self._open_state(name)
        state.check_loop("open", name)
        return state

    def _leave_to_others(self) -> ScopeState:
        """Stop being the current scope, and return the state.

        For an object that owns this scope, such as a pool: what the object runs is within this
        scope, but the body of the object's own ``async with`` is not.
        """
        assert self._state is not None
        self._leave_context()
        return self._state

    def _leave_context(self) -> None:
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:
                # This is not the task that entered the scope, so its own context has no value to
                # reset. The owner resets its own when its body ends.
                return
            self._token = None


_PARENTS = (Scope, NoneType)


def current_names() -> tuple[str, ...]:
    """Return the names of the scopes that are current here, outermost first."""
    scope = _current.get()
    return () if scope is None or scope._state is None else scope._state.names


def _state_of_parent(scope: Scope) -> ScopeState | None:
    """Return the state of the parent of a scope that is about to be entered."""
    parent = scope.parent
    if parent is ...:
        parent = _current.get()
        # A task may outlive the scope that was current where it was started.
        while parent is not None and parent.state == "closed":
            parent = parent.parent if isinstance(parent.parent, Scope) else None
        scope.parent = parent
    if parent is None:
        return None
    if parent._state is None or parent._state.phase is CLOSED:
        raise ScopeClosedError(parent.name, parent.state, scope.name)
    return parent._state
