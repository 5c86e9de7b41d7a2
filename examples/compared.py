"""A scope compared with `contextlib.AsyncExitStack` and `asyncio.gather`: five trials.

Each runs the same managers both ways. Like most managers, they do not handle a cancellation
half-way. "Left open" counts those that have acquired something and not released it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

from withal import Scope

left_open: set[str] = set()


class Resource:
    """Takes something, waits for some turns of the loop, and is open; and back again."""

    def __init__(
        self, name: str, *, opening: int = 2, refuses: bool = False, fails: bool = False
    ) -> None:
        self.name = name
        self.opening = opening
        self.refuses = refuses
        self.fails = fails

    async def __aenter__(self) -> Resource:
        if self.refuses:
            raise ConnectionRefusedError(self.name)
        left_open.add(self.name)
        await turns(self.opening)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await turns(2)
        left_open.discard(self.name)
        if self.fails:
            raise OSError(self.name)


class Hanging(Resource):
    """Does not end when it is to close."""

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.Event().wait()


Open: TypeAlias = Callable[[Resource], Awaitable[Resource]]


async def in_stack(body: Callable[[Open], Awaitable[object]]) -> None:
    async with AsyncExitStack() as stack:
        await body(stack.enter_async_context)


async def in_scope(body: Callable[[Open], Awaitable[object]]) -> None:
    async with Scope("app", close_timeout=0.02) as scope:
        await body(scope.enter)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def three(enter: Open) -> None:
    for name in ("a", "b", "c"):
        await enter(Resource(name))


async def three_and_wait(enter: Open) -> None:
    await three(enter)
    await asyncio.Event().wait()


async def two_that_fail(enter: Open) -> None:
    for name in ("first", "second"):
        await enter(Resource(name, fails=True))


async def one_that_hangs(enter: Open) -> None:
    await enter(Hanging("stuck"))


async def run_cancelled_at(main: Awaitable[object], turn: int) -> bool:
    """Cancel `main` at a turn of the loop, and return whether it was still running then."""
    left_open.clear()
    task = asyncio.ensure_future(main)
    await turns(turn)
    running = task.cancel()
    await asyncio.wait((task,))
    return running


async def cancelled_once(how: Callable[..., Awaitable[None]]) -> str:
    turn = leaks = 0
    while await run_cancelled_at(how(three), turn):
        leaks += bool(left_open)
        turn += 1
    return f"something left open at {leaks} of {turn} turns"


async def cancelled_twice(how: Callable[..., Awaitable[None]]) -> str:
    left_open.clear()
    task = asyncio.ensure_future(how(three_and_wait))
    await turns(30)
    task.cancel()
    await turns(2)
    task.cancel()
    await asyncio.wait((task,))
    return f"left open: {', '.join(sorted(left_open)) or 'none'}"


async def side_by_side(how: Callable[..., Awaitable[None]]) -> str:
    left_open.clear()
    slow, refused = Resource("slow", opening=5), Resource("refused", refuses=True)
    try:
        if how is in_stack:
            async with AsyncExitStack() as stack:
                enter = stack.enter_async_context
                await asyncio.gather(enter(slow), enter(refused))
        else:
            async with Scope("app") as scope:
                await scope.enter_all(slow, refused)
    except ConnectionRefusedError:
        await turns(10)  # the slow one opens in these, if it has not before
    return f"left open: {', '.join(left_open) or 'none'}"


async def two_errors(how: Callable[..., Awaitable[None]]) -> str:
    try:
        await how(two_that_fail)
    except ExceptionGroup as group:
        return f"raised: {', '.join(str(error) for error in group.exceptions)}"
    except OSError as error:
        return f"raised: {error}; as its context: {error.__context__}"
    return "raised: nothing"


async def hanging(how: Callable[..., Awaitable[None]]) -> str:
    task = asyncio.ensure_future(how(one_that_hangs))
    await asyncio.wait((task,), timeout=0.1)
    if task.done():
        return type(task.exception()).__name__
    task.cancel()
    await asyncio.wait((task,))
    return "still waiting after five times as long"


TRIALS = {
    "three resources, cancelled once, at each turn": cancelled_once,
    "cancelled again while they close": cancelled_twice,
    "two side by side (with gather in the stack), one of which refuses": side_by_side,
    "two that fail to close": two_errors,
    "one that does not end closing, which is given 0.02 s": hanging,
}


async def main() -> None:
    for name, trial in TRIALS.items():
        print(name)
        print("  AsyncExitStack:", await trial(in_stack))
        print("  Scope:", await trial(in_scope))


if __name__ == "__main__":
    asyncio.run(main())
