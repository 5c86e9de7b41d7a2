"""A scenario: what is audited, the environment it needs, and how that is tried again afterwards."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncContextDecorator, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast, final

from withal._core.errors import WithalError
from withal.audit.names import qualified_name

# What a scenario takes and returns is its own affair: it gets what its setup yields, and what it
# returns is dropped.
Run: TypeAlias = Callable[..., Any]
Setup: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


@final
class ScenarioError(WithalError):
    """What was given cannot be audited.

    Attributes:
        problem: what is wrong with it, and what to do.
    """

    __module__ = "withal.audit"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """What is cancelled, what it is given, and what is tried afterwards; ``withal audit`` takes it.

    Attributes:
        run: an async function, or a callable that returns an async context manager, which is
            entered and exited. Called with what the setup yields, if it takes an argument.
        setup: a callable that returns an async context manager: the environment of one attempt,
            such as a pool, a server, or a lock that another task holds. It is not cancelled.
        probe: an async function that uses the environment again, called as `run` is. It raises if
            the environment is not what it should be.
        name: what reports call it; by default the name of `run`.
        probe_at_once: whether the environment is to be as it should be at once. If it is, what the
            probe finds then is wrong although a thread is still at work; if it is not, the probe
            runs only after everything has come to rest. By default it runs both times, and what
            fails at once and is right after rest, with a thread at work in between, is not a
            finding.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> @asynccontextmanager
        ... async def locks():
        ...     yield asyncio.Lock()
        >>> async def acquire(lock):
        ...     async with lock:
        ...         await asyncio.sleep(0)
        >>> Scenario(acquire, setup=locks, probe=acquire).name
        'acquire'
    """

    run: Run
    setup: Setup | None = None
    probe: Run | None = None
    name: str = ""
    probe_at_once: bool | None = None

    def __post_init__(self) -> None:
        for what, value in ("run", self.run), ("setup", self.setup), ("probe", self.probe):
            if value is None and what != "run":
                continue
            if not callable(value) or isinstance(value, AsyncContextDecorator):
                raise TypeError(_not_callable(what, value))
            _check_parameters(what, value, has_setup=self.setup is not None)
        object.__setattr__(self, "name", self.name or qualified_name(self.run))

    def environment(self) -> AbstractAsyncContextManager[Any]:
        """Make a fresh environment."""
        if self.setup is None:
            return nullcontext()
        made = self.setup()
        if not hasattr(made, "__aenter__"):
            hint = _hint(made, "setup")
            raise ScenarioError(
                f"setup returned {made!r}, which is not an async context manager{hint}"
            )
        return made

    async def call(self, function: Run, environment: Any) -> None:
        """Call what is to be run, or the probe, with an environment, and see it through."""
        takes = self.setup is not None and takes_argument(function)
        made = function(environment) if takes else function()
        if hasattr(made, "__aenter__"):
            async with made:
                await while_it_is_open()
        elif inspect.isawaitable(made):
            await made
        else:
            raise ScenarioError(
                f"{qualified_name(function)} returned {made!r}, where an async function or an "
                f"async context manager is needed{_hint(made, qualified_name(function))}"
            )


async def while_it_is_open() -> None:
    """Be the body of a manager that is audited, and suspend once, so that it is cancelled here."""
    await asyncio.sleep(0)


def scenario_of(thing: object, setup: Setup | None = None, probe: Run | None = None) -> Scenario:
    """Return the scenario that was given whole or in parts.

    Raises:
        TypeError: it is none, or is given twice.
    """
    if isinstance(thing, Scenario):
        if setup is not None or probe is not None:
            raise TypeError(f"{thing.name} has a setup and a probe of its own; give it none")
        return thing
    return Scenario(thing, setup, probe)  # type: ignore[arg-type]  # which it checks itself


def _not_callable(what: str, value: object) -> str:
    if hasattr(value, "__aenter__") or inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        return f"{what} is called for each attempt: pass the function, not what {value!r} has made"
    return f"{what} has to be a callable that returns something to await; got {value!r}"


def _check_parameters(what: str, function: Callable[..., object], *, has_setup: bool) -> None:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # a callable written in C may have none
        return
    gets = has_setup and what != "setup"
    try:
        signature.bind(*([None] if gets and takes_argument(function) else []))
    except TypeError as error:
        given = "what the setup yields, as its one argument" if gets else "no argument"
        advice = "" if has_setup else "; give it a setup, or use functools.partial"
        raise TypeError(
            f"{what} {qualified_name(function)}{signature} cannot be called: it gets {given}, "
            f"and {error}{advice}"
        ) from None


def is_awaited(function: object) -> bool:
    """Return whether a function's result is awaited, as far as is known before it is called."""
    while isinstance(function, partial):
        function = cast("partial[object]", function).func
    plain = inspect.unwrap(function) if callable(function) else function
    return inspect.iscoroutinefunction(plain)


def takes_argument(function: Callable[..., object]) -> bool:
    """Return whether a function takes what the setup yields."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return False
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    return any(parameter.kind in positional for parameter in parameters)


def _hint(made: object, name: str) -> str:
    if inspect.isasyncgen(made):
        return f"; decorate {name} with contextlib.asynccontextmanager"
    if hasattr(made, "__enter__"):
        return "; a synchronous one never suspends, and so is never cancelled"
    return ""
