"""The fixtures of one test, set up again for each attempt of its audit."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias, cast, final

import pytest

# Fixtures of pytest itself that are set up for each attempt; its other fixtures are shared.
_FRESH = frozenset({"monkeypatch"})
# Fixtures of the plugins that run asynchronous tests, for their own loops.
_LOOPS = frozenset({"event_loop", "event_loop_policy"})

_Definition: TypeAlias = "pytest.FixtureDef[Any]"
_Values: TypeAlias = dict[str, object]
_Function: TypeAlias = Callable[..., object]
"""A function of a fixture, whose parameters and result are not known here."""


class NotAuditedError(Exception):
    """A test cannot be audited. The text has the reason and what to do."""


@final
class SuiteEnvironment:
    """The fixtures and the instance of one test.

    Attributes:
        shared: the names of the fixtures that pytest sets up once, as usual.
        instance: the instance of the test's class in this attempt; None if it has no class.
    """

    def __init__(self, item: pytest.Function) -> None:
        self._item = item
        self.instance: object = None
        inside: Any = item
        info = inside._fixtureinfo
        self._arguments: tuple[str, ...] = info.argnames
        self._definitions: dict[str, tuple[_Definition, ...]] = {
            name: tuple(found) for name, found in info.name2fixturedefs.items()
        }
        closure: list[str] = list(info.names_closure)
        self._fresh = [name for name in closure if self._is_fresh(name)]
        self.shared = [name for name in closure if self._is_shared(name)]

    def check(self) -> None:
        """Check that an audit is possible.

        Raises:
            NotAuditedError: if a fixture that several tests share is asynchronous, or the backend
                is trio.
        """
        params: _Values = getattr(getattr(self._item, "callspec", None), "params", {})
        backend = params.get("anyio_backend")
        backend = cast("tuple[object, ...]", backend)[0] if isinstance(backend, tuple) else backend
        if backend not in {None, "asyncio"}:
            raise NotAuditedError(f"its backend is {backend}; only asyncio can be audited")
        for name in self._definitions:
            definition = self._definitions[name][-1]
            if definition.scope != "function" and _is_asynchronous(definition):
                raise NotAuditedError(
                    f"its fixture {name!r} is asynchronous and of scope {definition.scope!r}: it "
                    "lives in a loop of several tests, and each attempt has a loop of its own; "
                    "give it the scope 'function' for audits"
                )

    @asynccontextmanager
    async def fresh(self) -> AsyncGenerator[dict[str, object]]:
        """Set up the fixtures, yield the arguments of the test, and tear down."""
        cls: type[object] | None = self._item.cls
        self.instance = None if cls is None else cls()
        async with AsyncExitStack() as stack:
            values: dict[str, object] = {}
            for name in self._fresh:
                await self._value(name, values, stack)
            yield {name: await self._value(name, values, stack) for name in self._arguments}

    def _is_fresh(self, name: str) -> bool:
        definitions = self._definitions.get(name)
        if not definitions or name in _LOOPS or name.startswith("_"):
            return False
        definition = definitions[-1]
        is_pytests = definition.func.__module__.startswith("_pytest.") and not _is_direct(
            definition
        )
        return definition.scope == "function" and (not is_pytests or name in _FRESH)

    def _is_shared(self, name: str) -> bool:
        definitions = self._definitions.get(name)
        if not definitions or self._is_fresh(name):
            return False
        is_loops = name in _LOOPS or (name.startswith("_") and "runner" in name)
        return not is_loops and not _is_asynchronous(definitions[-1])

    async def _value(
        self, name: str, values: dict[str, object], stack: AsyncExitStack, index: int = -1
    ) -> object:
        if name == "request":
            return _Request(self._item, "", values, stack)
        if index == -1 and name in values:
            return values[name]
        if not self._is_fresh(name):
            return self._shared_value(name)
        definition = self._definitions[name][index]
        given: dict[str, object] = {}
        for argument in definition.argnames:
            if argument == "request":
                given[argument] = _Request(self._item, name, values, stack)
            else:  # a fixture with an argument of its own name gets the one that it overrides
                above = index - 1 if argument == name else -1
                given[argument] = await self._value(argument, values, stack, above)
        value = await _made(self._function(definition), given, stack)
        if index == -1:
            values[name] = value
        return value

    def _shared_value(self, name: str) -> object:
        try:
            return self._item.funcargs[name]
        except KeyError:
            inside: Any = self._item
            return inside._request.getfixturevalue(name)

    def _function(self, definition: _Definition) -> _Function:
        """Return the function of a fixture; for a method, bound to this attempt's instance."""
        function: Any = inspect.unwrap(definition.func)
        plain: Any = getattr(function, "__func__", function)
        is_method = plain is not function or next(iter(_parameters(plain)), "") == "self"
        return cast("_Function", plain.__get__(self.instance) if is_method else plain)


@final
class _Request:
    """The ``request`` of a fixture: that of pytest, with the values of this attempt."""

    def __init__(
        self, item: pytest.Function, name: str, values: dict[str, object], stack: AsyncExitStack
    ) -> None:
        inside: Any = item
        self._request = inside._request
        self._values = values
        self._stack = stack
        self.fixturename = name
        self.scope = "function"
        params: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
        if name in params:
            self.param = params[name]

    def addfinalizer(self, finalizer: Callable[[], object]) -> None:
        """Call `finalizer` when the attempt has ended."""
        self._stack.callback(finalizer)

    def getfixturevalue(self, name: str) -> object:
        """Return the value of a fixture of this attempt, or else of one that pytest sets up."""
        return self._values[name] if name in self._values else self._request.getfixturevalue(name)

    def __getattr__(self, name: str) -> object:
        if name == "param":
            raise AttributeError(name)
        return getattr(self._request, name)


def _parameters(function: _Function) -> list[str]:
    return list(inspect.signature(function).parameters)


def _is_asynchronous(definition: _Definition) -> bool:
    function = inspect.unwrap(definition.func)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _is_direct(definition: _Definition) -> bool:
    """Return whether it stands for an argument that parametrize passes directly."""
    return definition.func.__name__ == "get_direct_param_fixture_func"


async def _made(function: _Function, given: dict[str, Any], stack: AsyncExitStack) -> object:
    """Call a fixture's function, and finish its generator at the end of the attempt."""
    made = function(**given)
    if inspect.isasyncgen(made):
        value = await anext(made)
        stack.push_async_callback(_end_async, cast("AsyncGenerator[object]", made))
        return value
    if inspect.isgenerator(made):
        value = next(made)
        stack.callback(_end, cast("Generator[object]", made))
        return value
    return await made if inspect.isawaitable(made) else made


async def _end_async(fixture: AsyncGenerator[object]) -> None:
    async for _ in fixture:
        raise RuntimeError("a fixture has yielded twice; yield the value once")


def _end(fixture: Generator[object]) -> None:
    for _ in fixture:
        raise RuntimeError("a fixture has yielded twice; yield the value once")
