"""Law 1: a resource whose opening completed is closed exactly once."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tests.laws.probes import Log, Probe, failing, forever
from tests.support.loop import turns
from withal import (
    CloseTimeoutError,
    Scope,
)


@pytest.mark.parametrize("error", [None, ValueError("body"), SystemExit(3), KeyboardInterrupt()])
async def test_closed_once_however_the_body_ends(error: BaseException | None) -> None:
    log = Log()
    try:
        async with Scope() as scope:
            await scope.enter_all(Probe(log, "a"), Probe(log, "b"))
            await scope.enter(Probe(log, "c"), inline=True)
            if error is not None:
                raise error
    except BaseException as exc:
        assert exc is error  # noqa: PT017 - a SystemExit has to be caught without pytest.raises
    log.check_all_closed()
    assert len(log.names("closed")) == 3


async def test_closed_once_when_a_timeout_ends_the_body() -> None:
    log = Log()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), Scope() as scope:
            await scope.enter(Probe(log, "a"))
            await forever()
    log.check_all_closed()


async def test_a_second_cancellation_does_not_stop_the_cleaning_up() -> None:
    log = Log()
    closing = asyncio.Event()
    gate = asyncio.Event()

    async def wait_for_gate() -> None:
        closing.set()
        await gate.wait()

    async def main() -> None:
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(Probe(log, "b", closing=wait_for_gate))
            await forever()

    task = asyncio.create_task(main())
    await turns(20)
    task.cancel()
    await closing.wait()
    for _ in range(5):
        task.cancel()
        await turns(2)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.names("closed") == ["b", "a"]


def test_closed_once_when_the_loop_shuts_down_with_the_task_forgotten() -> None:
    log = Log()

    async def main() -> asyncio.Task[None]:
        async def forgotten() -> None:
            async with Scope() as scope:
                await scope.enter(Probe(log, "a"))
                await scope.enter_all(Probe(log, "b"), Probe(log, "c"))
                opened.set()
                await forever()

        opened = asyncio.Event()
        task = asyncio.create_task(forgotten())
        await opened.wait()
        return task

    task = asyncio.run(main())
    assert task.cancelled()
    log.check_all_closed()
    assert log.names("closed")[-1] == "a"


@pytest.mark.parametrize("turn", range(24))
def test_closed_once_when_the_loop_shuts_down_at_any_turn(turn: int) -> None:
    log = Log()

    async def main() -> asyncio.Task[None]:
        async def forgotten() -> None:
            async with Scope() as scope:
                scope.defer(log, "closed", "callback")
                log("opened", "callback")
                await scope.enter(Probe(log, "a"))
                await scope.enter(Probe(log, "b"))

        task = asyncio.create_task(forgotten())
        await turns(turn)
        return task

    task = asyncio.run(main())
    log.check_all_closed()
    if not task.cancelled():
        task.result()  # it had ended; it has not failed, waited for nothing, or missed a deadline


async def test_a_finalizer_that_fails_does_not_keep_the_others_from_closing() -> None:
    log = Log()
    with pytest.raises(ValueError, match="b"):
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(Probe(log, "b", closing=failing(ValueError("b"))))
            await scope.enter(Probe(log, "c"))
    assert log.names("closed") == ["c", "b", "a"]


async def test_what_has_not_begun_to_close_by_the_deadline_is_still_closed() -> None:
    log = Log()
    with pytest.raises(CloseTimeoutError):
        async with Scope(close_timeout=0.01) as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(Probe(log, "b", closing=forever))
    assert log.names("closed") == ["b", "a"]


async def test_a_released_resource_is_not_closed_again() -> None:
    log = Log()
    async with Scope() as scope:
        a = await scope.enter(Probe(log, "a"))
        await scope.enter(Probe(log, "b"))
        await scope.release(a)
        assert log.names("closed") == ["a"]
    assert log.names("closed") == ["a", "b"]


async def test_the_scope_waits_for_a_release_that_is_under_way() -> None:
    log = Log()
    gate = asyncio.Event()
    async with Scope() as scope:
        await scope.enter(Probe(log, "a"))
        b = await scope.enter(Probe(log, "b", closing=gate.wait))
        release = asyncio.create_task(scope.release(b))
        await turns(5)
        asyncio.get_running_loop().call_later(0.01, gate.set)
    assert log.names("closed") == ["b", "a"]
    await release


@pytest.mark.parametrize(
    "body",
    [
        """
async def rows():
    async with Scope() as scope:
        await scope.enter(held("a"))
        await scope.enter(held("b"))
        yield 1

async def main():
    global generator
    generator = rows()
    await anext(generator)
""",
        """
async def main():
    global scope
    scope = Scope()
    await scope.__aenter__()
    await scope.enter(held("a"))
    await scope.enter(held("b"))
""",
    ],
    ids=["a suspended generator", "entered by hand"],
)
def test_a_scope_whose_owner_has_ended_closes_when_the_loop_shuts_down(body: str) -> None:
    code = f"""
import asyncio, contextlib
from withal import Scope

@contextlib.asynccontextmanager
async def held(name):
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print("closed", name)
{body}
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.split("\n")[:2] == ["closed b", "closed a"], done.stderr


async def test_a_task_factory_that_fails_while_closing_fails_one_callback_only() -> None:
    log = Log()
    loop = asyncio.get_running_loop()

    def broken(*args: object, **options: object) -> asyncio.Task[None]:
        raise RuntimeError("no more tasks")

    try:
        with pytest.raises(RuntimeError, match="no more tasks"):
            async with Scope() as scope:
                await scope.enter(Probe(log, "a"))
                scope.defer(print)
                loop.set_task_factory(broken)  # type: ignore[arg-type]
    finally:
        loop.set_task_factory(None)
    assert log.names("closed") == ["a"]
