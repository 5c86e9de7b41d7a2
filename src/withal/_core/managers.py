"""The protocol of context managers: how to enter and exit one, and errors for other objects."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Protocol, TypeAlias, TypeVar

from withal._core.credentials import text_without_credentials
from withal._core.errors import AlreadyEnteredError

T_co = TypeVar("T_co", covariant=True)
F = TypeVar("F", bound=Callable[..., object])


class AsyncManager(Protocol[T_co]):
    """A manager for ``async with``."""

    def __aenter__(self) -> Awaitable[T_co]: ...

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[bool | None]: ...


class SyncManager(Protocol[T_co]):
    """A manager for ``with``."""

    def __enter__(self) -> T_co: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...


Manager: TypeAlias = AsyncManager[T_co] | SyncManager[T_co]


class EmitsEvents:
    """A manager that sends events of its own, such as a scope or a file.

    When a scope enters it, the scope sends these events instead, since it knows where it was
    entered.
    """

    __slots__ = ()

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Send no events from now on; the scope sends them, with the name and kind returned."""
        raise NotImplementedError


# The methods, as found on the type. Their values may have any type; the signatures of Scope give
# them their types.
Enter: TypeAlias = Callable[[object], Any]
Exit: TypeAlias = Callable[[object, object, object, object], Any]


@contextmanager
def _sample() -> Generator[None]:
    yield


@asynccontextmanager
async def _async_sample() -> AsyncGenerator[None]:
    yield


# Managers that contextlib makes from generator functions: each can be entered once.
GENERATOR_MANAGER: type = type(_sample())
_GENERATOR_MANAGERS: tuple[type, type] = (GENERATOR_MANAGER, type(_async_sample()))


def protocol_of(manager: object) -> tuple[Enter, Exit, bool]:
    """Return the methods that enter and exit `manager`, and whether their results are awaited.

    The methods are looked up on the type, as ``async with`` does. A manager of both kinds is
    entered as an asynchronous one.

    Raises:
        TypeError: if it is not a context manager; the message names what it is and what to do.
        AlreadyEnteredError: if it can be entered only once, and has been.
    """
    cls: Any = type(manager)
    try:
        methods = cls.__aenter__, cls.__aexit__, True
    except AttributeError:
        try:
            methods = cls.__enter__, cls.__exit__, False
        except AttributeError:
            raise _not_a_manager(manager) from None
    # contextlib deletes the arguments of the generator function when the manager is entered
    # (https://github.com/python/cpython/blob/3.11/Lib/contextlib.py, `__enter__`). Whether an async
    # generator has started cannot be asked before inspect.getasyncgenstate() of 3.12:
    # https://docs.python.org/3/library/inspect.html#inspect.getasyncgenstate
    if cls in _GENERATOR_MANAGERS and not hasattr(manager, "args"):
        raise AlreadyEnteredError(name_of(manager))
    return methods


def check_together(managers: tuple[object, ...]) -> None:
    """Check that these can be entered together, before any of them is.

    Raises:
        TypeError: if one is not a context manager.
        AlreadyEnteredError: if one that can be entered once was entered, or is given twice.
    """
    seen = set[int]()
    try:
        for manager in managers:
            protocol_of(manager)
            if id(manager) in seen and type(manager) in _GENERATOR_MANAGERS:
                raise AlreadyEnteredError(name_of(manager))
            seen.add(id(manager))
    except TypeError:
        for other in filter(inspect.iscoroutine, managers):
            other.close()
        raise


def check_callable(thing: object) -> None:
    """Check that this can be called when the scope closes.

    Raises:
        TypeError: if it cannot; most often because it has been called already.
    """
    if callable(thing):
        return
    if inspect.iscoroutine(thing):
        thing.close()
    raise TypeError(
        f"scope.defer() takes a function and its arguments, got {thing!r}; do not call it: "
        "scope.defer(flush, arg) in place of scope.defer(flush(arg))"
    )


def named(name: str) -> Callable[[F], F]:
    """Set the name that `name_of` returns for managers made from a generator function.

    For a public function that checks its arguments and then returns such a manager. Apply this
    decorator below contextlib's.
    """

    def mark(function: F) -> F:
        function.__name__ = name
        return function

    return mark


def name_of(thing: object) -> str:
    """Return the name of a manager or function: of its type, or of the function that made it."""
    try:
        cls = type(thing)
        if cls in _GENERATOR_MANAGERS:
            thing = getattr(thing, "gen", None)
        name = getattr(thing, "__name__", None)
        if name is None:
            return cls.__name__
    except Exception:  # its attributes may raise, such as those of an unbound proxy
        name = None
    return name if isinstance(name, str) else type(thing).__name__


def _not_a_manager(thing: object) -> TypeError:
    """Return the error for an object that is not a context manager, with the likely fix."""
    if inspect.iscoroutine(thing):
        # Closed, so that the interpreter does not warn as well that it was never awaited.
        thing.close()
        name = thing.__name__
        return TypeError(
            f"expected a context manager, got the un-awaited coroutine of {name}(); await it "
            f"first if it returns one, or make {name} an @asynccontextmanager"
        )
    if isinstance(thing, type):
        name = thing.__name__
        if _has_protocol(thing):
            return TypeError(f"expected a context manager, got the class {name}; call it: {name}()")
        return TypeError(
            f"expected a context manager, got the class {name}, whose instances are not context "
            "managers; pass an object with __aenter__ and __aexit__"
        )
    if inspect.isasyncgen(thing) or inspect.isgenerator(thing):
        kind = "asynccontextmanager" if inspect.isasyncgen(thing) else "contextmanager"
        return TypeError(
            f"expected a context manager, got the generator of {thing.__name__}(); decorate "
            f"{thing.__name__} with @contextlib.{kind}"
        )
    if inspect.isroutine(thing):
        name = thing.__name__
        return TypeError(f"expected a context manager, got the function {name}; call it: {name}()")
    return TypeError(
        f"expected a context manager, got {text_without_credentials(repr(thing))} of type "
        f"{type(thing).__name__}, which has "
        "neither __aenter__ and __aexit__ nor __enter__ and __exit__; to have a callback run at "
        "close, use scope.defer()"
    )


def _has_protocol(cls: type) -> bool:
    return all(hasattr(cls, name) for name in ("__aenter__", "__aexit__")) or all(
        hasattr(cls, name) for name in ("__enter__", "__exit__")
    )
