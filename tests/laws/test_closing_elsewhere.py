"""Laws 1, 4 and 9 where a scope is closed by another task than entered it, or by several."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from weakref import ref

import pytest

from tests.conftest import LOOPS
from tests.laws.probes import Log, Probe, failing
from tests.support.loop import turns
from withal import Scope, ScopeClosedError


async def test_any_task_may_close_any_number_of_times() -> None:
    log = Log()
    scope = Scope()

    async def connect() -> None:
        await scope.__aenter__()
        await scope.enter(Probe(log, "a", closing=lambda: asyncio.sleep(0.001)))

    await asyncio.create_task(connect())
    await asyncio.gather(scope.aclose(), scope.aclose(), asyncio.create_task(scope.aclose()))
    assert scope.state == "closed"
    await scope.aclose()
    log.check_all_closed()


async def test_only_the_first_call_raises_what_closing_raises() -> None:
    async with Scope() as scope:
        scope.defer(failing(OSError("flush")))
        first = asyncio.create_task(scope.aclose())
        await turns(1)
        await scope.aclose()
        with pytest.raises(OSError, match="flush"):
            await first
        with pytest.raises(ScopeClosedError):
            await scope.enter(Probe(Log(), "a"))


async def test_a_scope_that_was_never_entered_cannot_be_closed() -> None:
    with pytest.raises(ScopeClosedError, match="'app' cannot be closed: it is not open yet"):
        await Scope("app").aclose()


async def test_the_body_does_not_end_while_another_task_closes() -> None:
    log = Log()
    async with Scope() as scope:
        await scope.enter(Probe(log, "a", closing=lambda: asyncio.sleep(0.005)))
        closing = asyncio.create_task(scope.aclose())
        await turns(2)
        assert scope.state == "closing"
    assert scope.state == "closed"
    log.check_all_closed()
    await closing


async def test_a_cancellation_while_another_task_closes_is_raised_when_that_is_done() -> None:
    log = Log()
    closings = []

    async def main() -> None:
        async with Scope() as scope:
            await scope.enter(Probe(log, "a", closing=lambda: asyncio.sleep(0.005)))
            closings.append(asyncio.create_task(scope.aclose()))
            await turns(2)

    task = asyncio.create_task(main())
    await turns(8)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    log.check_all_closed()
    await closings[0]


async def test_a_finalizer_cannot_close_what_waits_for_it() -> None:
    async with Scope("outer") as outer:
        await outer.enter(Scope("inner"))
        inner = await outer.enter(Scope("other"))

        async def from_within(scope: Scope, message: str) -> None:
            with pytest.raises(RuntimeError, match=message):
                await scope.aclose()

        outer.defer(from_within, outer, "'outer' cannot be closed by the task of 'from_within'")
        inner.defer(from_within, outer, "'outer' cannot be closed by the task of 'other'")
        await inner.enter(Probe(Log(), "a", closing=lambda: from_within(inner, "of 'Probe'")))
        spawned = outer.spawn(from_within(outer, "by the task of 'from_within'"))
        await spawned


async def test_another_loop_cannot_close_open_or_release() -> None:
    log = Log()
    refused: list[str] = []

    async def attempt(call: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(RuntimeError, match="belongs to another event loop") as caught:
            await call()
        refused.append(str(caught.value))

    async with Scope("app") as scope:
        value = await scope.enter(Probe(log, "a"))

        async def spawn() -> None:
            scope.spawn(asyncio.sleep(0))

        async def defer() -> None:
            scope.defer(print)

        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: scope.enter(Probe(log, "b")),
            lambda: scope.enter(Probe(log, "b"), inline=True),
            lambda: scope.release(value),
            scope.aclose,
            spawn,
            defer,
        ]

        def elsewhere() -> None:
            for call in calls:
                asyncio.run(attempt(call))
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                scope.defer(print)  # no loop runs in this thread

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert scope.state == "open"
    assert len(refused) == len(calls)
    assert log.names("opened") == log.names("closed") == ["a"]


async def test_what_is_inline_is_closed_by_its_owner_only() -> None:
    log = Log()
    async with Scope("app") as scope:
        await scope.enter(Probe(log, "a"))
        inline = await scope.enter(Probe(log, "b"), inline=True, name="limit")
        for close in (scope.aclose, lambda: scope.release(inline)):
            with pytest.raises(RuntimeError, match="'limit' was entered inline, by the task of"):
                await asyncio.create_task(close())
        assert scope.state == "open"
    assert log.names("closed") == ["b", "a"]
    log.check_all_closed()


async def test_what_is_inline_closes_when_its_owner_has_gone() -> None:
    log = Log()
    scope = Scope("app")

    async def own(go: asyncio.Event) -> None:
        await scope.__aenter__()
        await scope.enter(Probe(log, "a"), inline=True)
        await go.wait()

    go = asyncio.Event()
    owner = asyncio.create_task(own(go))
    await turns(8)
    with pytest.raises(RuntimeError, match="inline"):
        await scope.aclose()
    go.set()
    await owner
    await scope.aclose()
    log.check_all_closed()


@pytest.mark.parametrize("count", [1, 3])
async def test_what_the_exit_of_a_later_one_releases_is_exited_once(count: int) -> None:
    log = Log()
    async with Scope() as scope:
        earlier = [
            await scope.enter(Probe(log, f"{number}"), inline=True) for number in range(count)
        ]

        async def release() -> None:
            for each in earlier:
                await scope.release(each)

        await scope.enter(Probe(log, "last", closing=release), inline=True)
    log.check_all_closed()


@asynccontextmanager
async def connection(log: list[str]) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(asyncio.sleep(3600))
        log.append("open")
        try:
            yield
        finally:
            log.append("close")
            waiting.cancel()


async def test_a_forgotten_generator_that_holds_a_scope_is_closed_by_the_loop() -> None:
    log: list[str] = []

    async def stream() -> AsyncGenerator[int]:
        async with Scope("stream") as scope:
            await scope.enter(connection(log))
            for number in range(100):
                yield number

    generator = stream()
    for _ in range(2):
        await asyncio.create_task(anext(generator))
    del generator
    gc.collect()
    await asyncio.sleep(0.01)
    assert log == ["open", "close"]


async def test_a_cancellation_made_just_before_an_opening_that_fails_is_kept() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with Scope() as scope:
            task.cancel("early")
            with pytest.raises(OSError, match="refused"):
                await scope.enter(Probe(Log(), "a", opening=failing(OSError("refused"))))
            await turns(3)
            pytest.fail("the cancellation was lost")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(main())


@pytest.mark.parametrize("entered", [False, True])
async def test_a_thousand_levels_close_within_the_deadline_of_the_outermost(entered: bool) -> None:
    log = Log()
    scopes = [Scope("0", close_timeout=10)]
    await scopes[0].__aenter__()
    for number in range(1, 1000):
        scope = Scope(f"{number}", parent=scopes[-1])
        await (scopes[-1].enter(scope) if entered else scope.__aenter__())
        scopes.append(scope)
    await scopes[-1].enter(Probe(log, "a"))
    assert len(str(scopes[0].snapshot()).splitlines()) > 999
    for scope in scopes[:1] if entered else reversed(scopes):
        await scope.aclose()
    log.check_all_closed()
    assert {scope.state for scope in scopes} == {"closed"}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_generator_whose_finalizing_is_cancelled_before_it_begins_closes_all(
    loop: str, count: int
) -> None:
    log = Log()

    async def inner() -> AsyncGenerator[int]:
        async with Scope() as scope:
            for number in range(count):
                await scope.enter(Probe(log, str(number), turns=2))
            while True:
                yield count

    async def outer() -> AsyncGenerator[int]:
        async with aclosing(inner()) as numbers:
            async for number in numbers:
                yield number

    async def main() -> None:
        async for _ in outer():
            raise LookupError

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner, pytest.raises(LookupError):
        runner.run(main())
    gc.collect()
    log.check_all_closed()


async def test_a_coroutine_that_is_closed_by_hand_closes_what_needs_no_wait() -> None:
    closed: list[int] = []

    @contextmanager
    def slow(number: int) -> Generator[None]:
        try:
            yield
        finally:
            time.sleep(0.001)  # twice the time after which others get a turn, which is no wait
            closed.append(number)

    async def body() -> None:
        async with Scope() as scope:
            for number in range(3):
                await scope.enter(slow(number))
            await asyncio.Event().wait()

    coroutine = body()
    coroutine.send(None)
    coroutine.close()
    assert closed == [2, 1, 0]


async def test_a_host_that_was_cancelled_and_closed_leaves_no_reference_cycle() -> None:
    class Manager:
        async def __aenter__(self) -> Manager:
            return self

        async def __aexit__(self, *exc: object) -> None: ...

    manager = Manager()
    held = ref(manager)
    tasks = asyncio.all_tasks()
    gc.disable()
    try:
        async with Scope() as scope:
            await scope.enter(manager)
            del manager
            (host,) = asyncio.all_tasks() - tasks
            host.cancel()
            del host
        assert held() is None
    finally:
        gc.enable()
