"""What scopes cost, as ratios against the standard library: ``python -m benchmarks.scopes``.

Runs on asyncio's own loop and, where it is installed, on uvloop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from platform import python_version

from rich.console import Console
from rich.table import Table

from benchmarks.timing import Comparison, Job, Stopwatch, compare
from benchmarks.without_events import scope_without_events
from withal import Declaration, Scope, resource

REPEAT = 300
MANY = 1000
RELEASED = 100_000
# Since 3.12 a task can start eagerly; before, opening takes a turn of the loop.
HOSTED_BOUND = 10 if sys.version_info >= (3, 12) else 15


class Nothing:
    """A manager that does nothing."""

    async def __aenter__(self) -> Nothing:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


class Slow(Nothing):
    """A manager that takes 10 ms to open."""

    async def __aenter__(self) -> Slow:
        await asyncio.sleep(0.01)
        return self


class NothingToAwait:
    """A synchronous manager that does nothing."""

    def __enter__(self) -> NothingToAwait:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


NOTHING = Nothing()
NOTHING_TO_AWAIT = NothingToAwait()


async def one_stack_each(watch: Stopwatch) -> None:
    with watch:
        for _ in range(REPEAT):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(NOTHING)


async def many_in_a_stack(watch: Stopwatch) -> None:
    with watch:
        async with AsyncExitStack() as stack:
            for _ in range(REPEAT):
                await stack.enter_async_context(NOTHING)


async def many_in_a_synchronous_stack(watch: Stopwatch) -> None:
    with watch, ExitStack() as stack:
        for _ in range(REPEAT):
            stack.enter_context(NOTHING_TO_AWAIT)


async def many_synchronous_in_a_scope(watch: Stopwatch) -> None:
    with watch:
        async with Scope() as scope:
            for _ in range(REPEAT):
                await scope.enter(NOTHING_TO_AWAIT)


async def entering_a_stack(watch: Stopwatch) -> None:
    async with AsyncExitStack() as stack:
        with watch:
            for _ in range(REPEAT):
                await stack.enter_async_context(NOTHING)


def one_scope_each(cls: type[Scope], *, inline: bool) -> Job:
    async def job(watch: Stopwatch) -> None:
        with watch:
            for _ in range(REPEAT):
                async with cls() as scope:
                    await scope.enter(NOTHING, inline=inline)

    return job


def many_in_a_scope(cls: type[Scope]) -> Job:
    async def job(watch: Stopwatch) -> None:
        with watch:
            async with cls() as scope:
                for _ in range(REPEAT):
                    await scope.enter(NOTHING, inline=True)

    return job


async def entering_a_scope(watch: Stopwatch) -> None:
    async with Scope() as scope:
        with watch:
            for _ in range(REPEAT):
                await scope.enter(NOTHING, inline=True)


async def bare_gather(watch: Stopwatch) -> None:
    with watch:
        await asyncio.gather(*[asyncio.sleep(0.01) for _ in range(MANY)])


async def opening_together(watch: Stopwatch) -> None:
    async with Scope() as scope:
        with watch:
            await scope.enter_all(*[Slow() for _ in range(MANY)])


async def opening_and_closing_together(watch: Stopwatch) -> None:
    with watch:
        async with Scope() as scope:
            await scope.enter_all(*[Slow() for _ in range(MANY)])


def declare(number: int, *needed: Declaration[int]) -> Declaration[int]:
    async def function(**_: int) -> AsyncIterator[int]:
        yield number

    function.__name__ = f"r{number}"
    declaration = resource(function)
    declaration.needs.update({f"p{index}": each for index, each in enumerate(needed)})
    return declaration


DECLARED = [declare(number) for number in range(100)]


async def opening_declared(watch: Stopwatch) -> None:
    async with Scope() as scope:
        with watch:
            await scope.open(*DECLARED)


async def entering_declared(watch: Stopwatch) -> None:
    async with Scope() as scope:
        with watch:
            await scope.enter_all(*[each() for each in DECLARED])


async def seconds_to_plan(count: int) -> float:
    """Return how long it takes to plan a graph, in which each needs the three before it."""
    graph: list[Declaration[int]] = []
    for number in range(count):
        graph.append(declare(number, *graph[-3:]))
    async with Scope() as scope:
        watch = Stopwatch()
        with watch:
            scope.plan(graph[-1])
    return watch.seconds


async def comparisons() -> AsyncIterator[Comparison]:
    """Yield what is compared, each as it has been measured."""
    hosted, inline = one_scope_each(Scope, inline=False), one_scope_each(Scope, inline=True)
    yield await compare(
        "scope + one hosted resource / AsyncExitStack",
        hosted, one_stack_each, repeat=REPEAT, bound=HOSTED_BOUND,
    )  # fmt: skip
    yield await compare(
        "inline enter / enter_async_context",
        entering_a_scope, entering_a_stack, repeat=REPEAT, bound=3,
    )  # fmt: skip
    yield await compare(
        "inline enter and exit / the same", many_in_a_scope(Scope), many_in_a_stack, repeat=REPEAT
    )
    yield await compare(
        "synchronous enter and exit / ExitStack",
        many_synchronous_in_a_scope, many_in_a_synchronous_stack, repeat=REPEAT, bound=5,
    )  # fmt: skip
    yield await compare(
        "scope + one inline resource / AsyncExitStack", inline, one_stack_each, repeat=REPEAT
    )
    yield await compare(
        f"enter_all of {MANY}, 10 ms each / gather", opening_together, bare_gather, bound=1.5
    )
    yield await compare("the same with closing / gather", opening_and_closing_together, bare_gather)
    yield await compare(
        "open of 100 declared / enter_all of the same", opening_declared, entering_declared, bound=2
    )
    bare = scope_without_events()
    yield await compare(
        "hosted: no observer / without events",
        hosted, one_scope_each(bare, inline=False), repeat=REPEAT, rounds=101, bound=1.05,
    )  # fmt: skip
    yield await compare(
        "inline: no observer / without events",
        many_in_a_scope(Scope), many_in_a_scope(bare), repeat=REPEAT, rounds=101, bound=1.05,
    )  # fmt: skip


async def blocks_left_by_many_releases() -> int:
    """Return how many blocks of memory are left of resources opened and released in one scope."""
    async with Scope() as scope:
        await scope.release(await scope.enter(Nothing()))
        before = sys.getallocatedblocks()
        for _ in range(RELEASED):
            await scope.release(await scope.enter(Nothing()))
        return sys.getallocatedblocks() - before


async def measure(console: Console, loop_name: str) -> None:
    table = Table("what", "withal", "other", "ratio", "bound", title=loop_name)
    async for each in comparisons():
        bound = "" if each.bound is None else f"{each.bound:g}"
        over = each.bound is not None and each.ratio > each.bound
        ratio = f"[red]{each.ratio:.2f}[/]" if over else f"{each.ratio:.2f}"
        table.add_row(
            each.name, f"{each.ours * 1e6:.2f} us", f"{each.theirs * 1e6:.2f} us", ratio, bound
        )
    console.print(table)
    planned = await seconds_to_plan(10_000)
    console.print(f"a graph of 10000 resources is planned in {planned:.3f} s (bound 0.2)")
    left = await blocks_left_by_many_releases()
    console.print(
        f"{RELEASED} resources opened and released in one scope left {left} blocks of memory"
    )


def main() -> None:
    console = Console()
    console.print(f"CPython {python_version()}; medians, the two of each row in turn")
    asyncio.run(measure(console, "asyncio"))
    try:
        import uvloop
    except ImportError:
        console.print("uvloop is not installed")
    else:
        uvloop.run(measure(console, "uvloop"))


if __name__ == "__main__":
    main()
