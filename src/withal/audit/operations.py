"""Operations: random programs of a user's own functions, as a strategy for Hypothesis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from withal.audit.naming import name_of
from withal.audit.scenario import takes_argument

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@final
@dataclass(frozen=True, slots=True)
class Operations:
    """A random program, which is called as a scenario: its tasks run side by side.

    Attributes:
        tasks: the functions that each task calls, one after the other.
    """

    tasks: tuple[tuple[Callable[..., Any], ...], ...]

    async def __call__(self, environment: Any = None) -> None:
        """Run the tasks, and raise what fails."""
        async with asyncio.TaskGroup() as group:
            for functions in self.tasks:
                group.create_task(_each(functions, environment))

    def __repr__(self) -> str:
        told = ", ".join(f"[{', '.join(map(name_of, each))}]" for each in self.tasks)
        return f"Operations({told})"


async def _each(functions: tuple[Callable[..., Any], ...], environment: Any) -> None:
    for function in functions:
        made = function(environment) if takes_argument(function) else function()
        if hasattr(made, "__aenter__"):
            async with made:
                await asyncio.sleep(0)
        else:
            await made


def operations(
    *functions: Callable[..., Any], tasks: int = 3, length: int = 4
) -> SearchStrategy[Operations]:
    """Return a strategy for programs: some tasks side by side, each a series of these functions.

    Needs Hypothesis. What it draws is a scenario for `audit`, which is called with what the setup
    yields; so is each function, if it takes an argument. A function returns something to await, or
    an async context manager, which is entered and exited. Hypothesis shrinks what fails to few
    and short tasks.

    Args:
        functions: what the programs are made of.
        tasks: how many tasks run side by side, at most.
        length: how many functions a task calls, at most.

    Raises:
        ValueError: if there is no function, or a limit is less than 1.

    Example:
        >>> from hypothesis import given, settings
        >>> from withal.audit import audit
        >>> async def rest():
        ...     await asyncio.sleep(0)
        >>> @settings(max_examples=3, deadline=None)
        ... @given(operations(rest))
        ... def test(program):
        ...     audit(program).check()
        >>> test()
    """
    from hypothesis import strategies

    if not functions or tasks < 1 or length < 1:
        raise ValueError(
            "operations() takes one function or more, and tasks and length of 1 or more; "
            f"got {len(functions)} functions, {tasks} and {length}"
        )
    series = strategies.lists(strategies.sampled_from(functions), min_size=1, max_size=length)
    programs = strategies.lists(series.map(tuple), min_size=1, max_size=tasks)
    return programs.map(lambda drawn: Operations(tuple(drawn)))
