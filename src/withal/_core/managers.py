"""Context managers as scopes see them: how one is entered and left, and what is none and why."""

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
    """What ``async with`` takes."""

    def __aenter__(self) -> Awaitable[T_co]: ...

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[bool | None]: ...


class SyncManager(Protocol[T_co]):
    """What ``with`` takes."""

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
    """A manager that sends events of its own, as a scope or a file does.

    Where a scope enters it, that scope sends them in its place, since it knows where that was.
    """

    __slots__ = ()

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Leave telling to the scope that enters it, by the name and kind that are returned."""
        raise NotImplementedError


# The methods as the type has them. The values that pass through are the user's own and of any
# type; the signatures of Scope are where they are typed.
Enter: TypeAlias = Callable[[Any], Any]
Exit: TypeAlias = Callable[[Any, Any, Any, Any], Any]


@contextmanager
def _sample() -> Generator[None]:
    yield


@asynccontextmanager
async def _async_sample() -> AsyncGenerator[None]:
    yield


# Managers made of a generator function, by contextlib: each serves once.
GENERATOR_MANAGER: type = type(_sample())
_GENERATOR_MANAGERS: tuple[type, type] = (GENERATOR_MANAGER, type(_async_sample()))


def protocol_of(manager: object) -> tuple[Enter, Exit, bool]:
    """Return how to enter and how to leave `manager`, and whether both are to be awaited.

    The methods are looked up on the type, as ``async with`` does. A manager of both kinds is
    entered as an asynchronous one.

    Raises:
        TypeError: it is not a context manager; says what it is and what to do.
        AlreadyEnteredError: it serves once, and has.
    """
    cls: Any = type(manager)
    try:
        methods = cls.__aenter__, cls.__aexit__, True
    except AttributeError:
        try:
            methods = cls.__enter__, cls.__exit__, False
        except AttributeError:
            raise _not_a_manager(manager) from None
    # contextlib drops the arguments of the generator function when the manager is entered. There
    # is no public way to ask an async generator on 3.11 whether it has started.
    if cls in _GENERATOR_MANAGERS and not hasattr(manager, "args"):
        raise AlreadyEnteredError(name_of(manager))
    return methods


def check_together(managers: tuple[object, ...]) -> None:
    """Check that these can be entered together, before any of them is.

    Raises:
        TypeError: one is not a context manager.
        AlreadyEnteredError: one that serves once has been entered, or is among them twice.
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
        TypeError: it cannot; most often it has been called already.
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
    """Give managers made of a generator function another name, which `name_of` returns.

    For a public function that checks what it is given and then returns such a manager. The
    decorator goes below contextlib's.
    """

    def mark(function: F) -> F:
        function.__name__ = name
        return function

    return mark


def name_of(thing: object) -> str:
    """Name a manager or a function: as its type, or as the function that it was made of."""
    try:
        if type(thing) in _GENERATOR_MANAGERS:
            thing = getattr(thing, "gen", None)
        name = getattr(thing, "__name__", None)
    except Exception:  # of its own attributes: a proxy that is not bound, say
        name = None
    return name if isinstance(name, str) else type(thing).__name__


def _not_a_manager(thing: object) -> TypeError:
    """Say what was given in place of a context manager, and what was probably meant."""
    if inspect.iscoroutine(thing):
        # It will not be awaited now; this error is clearer than the warning.
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
            f"expected a context manager, got the class {name}, which is not one either"
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
