"""Declarations of resources and their dependencies, as data: nothing is opened here."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Generic, TypeVar, cast, final, overload

from withal._core.aliases import AnyFunction
from withal._core.errors import DeclarationError
from withal._core.managers import AsyncManager, SyncManager, name_of
from withal._core.site import site_of

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@final
class Declaration(Generic[T_co]):
    """A resource as it was declared with `resource`; pass it to `Scope.open` and to `needs`.

    Attributes:
        name: the function's name.
        site: the file and line where it was declared.
        needs: what it depends on, by the name of the parameter that takes it.
    """

    __slots__ = ("_make", "name", "needs", "site")

    def __init__(self, function: AnyFunction, make: AnyFunction) -> None:
        self.name: str = function.__name__
        self.site: str = _site_of(function)
        self.needs: dict[str, Declaration[object]] = dict(_needs_of(function))
        self._make = make

    def __repr__(self) -> str:
        return f"<resource {self.name} at {self.site}>"

    def __call__(self, *args: object, **kwargs: object) -> AsyncManager[T_co] | SyncManager[T_co]:
        """Return its context manager, made from dependencies that the caller passes.

        No scope is involved.
        """
        return cast("AsyncManager[T_co] | SyncManager[T_co]", self._make(*args, **kwargs))


@overload
def resource(function: Callable[..., AsyncIterator[T]], /) -> Declaration[T]: ...
@overload
def resource(function: Callable[..., AsyncManager[T]], /) -> Declaration[T]: ...
@overload
def resource(function: Callable[..., SyncManager[T]], /) -> Declaration[T]: ...
def resource(function: AnyFunction, /) -> Declaration[object]:
    """Declare a resource: an async generator function, or one that returns a context manager.

    A generator yields the value once, and cleans up after that. A parameter whose default is
    `needs(other)` gets the value of that other declared resource; each other parameter must have
    a default. Nothing is opened before `Scope.open` is called.

    Raises:
        DeclarationError: if `function` is not such a function, or a parameter has no default.

    Example:
        >>> import asyncio
        >>> from collections.abc import AsyncIterator
        >>> from withal import Scope, needs, resource
        >>> @resource
        ... async def settings() -> AsyncIterator[str]:
        ...     yield "dsn"
        >>> @resource
        ... async def database(dsn: str = needs(settings)) -> AsyncIterator[str]:
        ...     print("open", dsn)
        ...     yield f"database of {dsn}"
        ...     print("close", dsn)
        >>> async def main() -> None:
        ...     async with Scope("app") as scope:
        ...         print(await scope.open(database))
        >>> asyncio.run(main())
        open dsn
        database of dsn
        close dsn
    """
    if not isinstance(function, FunctionType):
        raise DeclarationError(repr(function), _caller(), "@resource decorates functions only")
    if inspect.isasyncgenfunction(function):
        return Declaration(function, asynccontextmanager(function))
    problem = None
    if inspect.iscoroutinefunction(function):
        problem = "it is a coroutine function; let it yield the value, as an async generator"
    elif inspect.isgeneratorfunction(function):
        problem = "it is a plain generator function; make it `async def`"
    if problem is not None:
        raise DeclarationError(function.__name__, _site_of(function), problem)
    return Declaration(function, function)


def needs(other: Declaration[T], /) -> T:
    """Declare a dependency, as the default of a parameter; its type is that of the value.

    Raises:
        DeclarationError: if `other` is not a declared resource.
    """
    if not isinstance(cast("object", other), Declaration):
        name = getattr(other, "__name__", None) or repr(other)
        problem = "needs() takes a declared resource; decorate it with @resource"
        raise DeclarationError(name, _caller(), problem)
    return cast("T", _Need(other))


def check_declared(things: Sequence[object]) -> None:
    """Check that all of these are declared resources.

    Raises:
        DeclarationError: if one is not; the message has its name and where it was defined.
    """
    for thing in things:
        if not isinstance(thing, Declaration):
            code = getattr(thing, "__code__", None)
            site = _caller() if code is None else f"{code.co_filename}:{code.co_firstlineno}"
            name = getattr(thing, "__name__", None) or repr(thing)
            problem = "it is not declared; decorate it with @resource"
            if hasattr(type(thing), "__aenter__") or hasattr(type(thing), "__enter__"):
                name = name_of(thing)
                problem = "it is a context manager; give the resource itself, without calling it"
            raise DeclarationError(name, site, problem)


@final
@dataclass(frozen=True, slots=True)
class _Need:
    """The default of a parameter that takes the value of a declared resource."""

    declaration: Declaration[object]


def _needs_of(function: AnyFunction) -> list[tuple[str, Declaration[object]]]:
    found: list[tuple[str, Declaration[object]]] = []
    for parameter in inspect.signature(function).parameters.values():
        if isinstance(parameter.default, _Need):
            if parameter.kind is parameter.POSITIONAL_ONLY:
                _refuse(function, f"parameter {parameter.name!r} cannot be positional only")
            found.append((parameter.name, parameter.default.declaration))
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            _refuse(
                function,
                f"its parameter {parameter.name!r} has no default; give it one, such as "
                "needs(other)",
            )
    return found


def _refuse(function: AnyFunction, problem: str) -> None:
    raise DeclarationError(function.__name__, _site_of(function), problem)


def _site_of(function: AnyFunction) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _caller() -> str:
    return str(site_of(sys._getframe(1)))
