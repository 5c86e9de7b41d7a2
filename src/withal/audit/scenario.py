"""A scenario: the code to audit, its environment, and the probe that uses the environment again."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncContextDecorator, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast, final

from withal._core.aliases import AnyFunction
from withal._core.errors import WithalError
from withal.audit.names import qualified_name

# Any, since a scenario gets the value that its setup yields, and its result is ignored.
Run: TypeAlias = AnyFunction
Setup: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]


@final
class ScenarioError(WithalError):
    """The scenario cannot be audited.

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
    """The code to cancel, its environment, and a probe, for `audit` and ``withal audit``.

    Attributes:
        run: an async function, or a callable that returns an async context manager, which is
            entered and exited. It is called with the value that the setup yields, if it takes an
            argument.
        setup: a callable that returns an async context manager: the environment of one attempt,
            such as a pool, a server, or a lock that another task holds. It is not cancelled.
        probe: an async function that uses the environment again, called like `run`. It raises if
            something is wrong with the environment.
        name: the name in reports; by default the name of `run`.
        probe_at_once: whether the environment must be usable immediately after the cancellation. If
            True, an error of the immediate probe is a finding, even if a thread is still working.
            If False, the probe runs only after everything has settled. By default it runs both
            times; if only the immediate one fails, and a thread was working in between, that is
            not a finding.

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
        """Create a new environment."""
        if self.setup is None:
            return nullcontext()
        made = self.setup()
        if not hasattr(made, "__aenter__"):
            hint = _hint(made, "setup")
            raise ScenarioError(
                f"setup returned {made!r}, which is not an async context manager{hint}"
            )
        return made

    async def call(self, function: Run, environment: object) -> None:
        """Call the run or the probe with an environment, and await or enter the result."""
        takes = self.setup is not None and takes_argument(function)
        made = function(environment) if takes else function()
        if hasattr(made, "__aenter__"):
            async with made:
                await while_it_is_open()
        elif inspect.isawaitable(made):
            await made
        else:
            raise ScenarioError(
                f"{qualified_name(function)} returned {made!r}, which is neither an awaitable nor "
                f"an async context manager{_hint(made, qualified_name(function))}"
            )


async def while_it_is_open() -> None:
    """Suspend once, as the body of an audited manager, so that it can be cancelled here."""
    await asyncio.sleep(0)


def scenario_of(thing: object, setup: Setup | None = None, probe: Run | None = None) -> Scenario:
    """Return the scenario, which was passed as a `Scenario` or in parts.

    Raises:
        TypeError: if it is not a scenario, or a setup or probe is passed twice.
    """
    if isinstance(thing, Scenario):
        if setup is not None or probe is not None:
            raise TypeError(f"{thing.name} is a Scenario with its own setup and probe; pass none")
        return thing
    return Scenario(thing, setup, probe)  # type: ignore[arg-type]  # Scenario checks it


def _not_callable(what: str, value: object) -> str:
    if hasattr(value, "__aenter__") or inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        return f"{what} is called for each attempt: pass the function, not its result {value!r}"
    return f"{what} must be a callable that returns an awaitable; got {value!r}"


def _check_parameters(what: str, function: Callable[..., object], *, has_setup: bool) -> None:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # a callable written in C may have none
        return
    gets = has_setup and what != "setup"
    try:
        signature.bind(*([None] if gets and takes_argument(function) else []))
    except TypeError as error:
        given = "the value of the setup as its only argument" if gets else "no argument"
        advice = "" if has_setup else "; pass a setup, or use functools.partial"
        raise TypeError(
            f"{what}: {qualified_name(function)}{signature} is called with {given}: {error}{advice}"
        ) from None


def is_awaited(function: object) -> bool:
    """Return whether a function is a coroutine function, so that its result is awaited."""
    while isinstance(function, partial):
        function = cast("partial[object]", function).func
    plain = inspect.unwrap(function) if callable(function) else function
    return inspect.iscoroutinefunction(plain)


def takes_argument(function: Callable[..., object]) -> bool:
    """Return whether a function takes an argument: the value of the setup."""
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
        return "; a synchronous one never suspends, so it cannot be cancelled"
    return ""
