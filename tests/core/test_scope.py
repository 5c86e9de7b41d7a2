"""What else a scope does: callbacks, tasks, synchronous managers, memory."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from types import TracebackType

import pytest

from tests.laws.probes import Log, Probe
from tests.support.loop import turns
from withal import Scope


class Plain:
    """A synchronous manager."""

    def __init__(self) -> None:
        self.state = "new"

    def __enter__(self) -> Plain:
        self.state = "open"
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.state = "closed"


@pytest.mark.parametrize("inline", [False, True])
async def test_a_synchronous_manager_is_entered_and_exited(inline: bool) -> None:
    async with Scope() as scope:
        plain = await scope.enter(Plain(), inline=inline)
        assert plain.state == "open"
    assert plain.state == "closed"


async def test_callbacks_run_newest_first_with_their_arguments() -> None:
    calls: list[object] = []

    async def slow(value: int, *, key: str) -> None:
        await turns(1)
        calls.append((value, key))

    async with Scope() as scope:
        assert scope.defer(calls.append, "first") == calls.append
        scope.defer(slow, 2, key="second")

        @scope.defer
        def decorated() -> None:
            calls.append("third")

    assert calls == ["third", (2, "second"), "first"]


async def test_spawn_returns_the_task_and_names_it() -> None:
    async def work() -> int:
        await turns(1)
        return 7

    async with Scope() as scope:
        task = scope.spawn(work(), name="worker")
        assert isinstance(task, asyncio.Task)
        assert task.get_name() == "worker"
        assert await task == 7


async def test_the_host_carries_the_name_of_its_resource() -> None:
    log = Log()
    probe = Probe(log, "a")
    async with Scope() as scope:
        await scope.enter(probe, name="database")
        assert probe.tasks[0] is not None
        assert probe.tasks[0].get_name() == "database"


@pytest.mark.slow
@pytest.mark.parametrize("inline", [False, True])
async def test_100_000_brief_resources_in_one_long_scope_leave_memory_flat(inline: bool) -> None:
    class Brief:
        async def __aenter__(self) -> Brief:
            return self

        async def __aexit__(self, *exc: object) -> None:
            return None

    async def open_and_release(number: int) -> None:
        for _ in range(number):
            await scope.release(await scope.enter(Brief(), inline=inline))

    async with Scope() as scope:
        await open_and_release(1_000)
        gc.collect()
        before = sys.getallocatedblocks()
        await open_and_release(100_000)
        gc.collect()
        assert sys.getallocatedblocks() - before < 1_000


async def test_a_closed_scope_leaves_nothing_for_the_garbage_collector() -> None:
    async def use() -> None:
        async with Scope() as scope:
            await scope.enter(Plain())
            await scope.enter(Plain(), inline=True)
            scope.defer(int)
            scope.spawn(turns(9))

    await use()
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            await use()
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_a_task_factory_that_fails_fails_the_opening_and_not_the_scope() -> None:
    log = Log()
    loop = asyncio.get_running_loop()

    def broken(*args: object, **kwargs: object) -> asyncio.Task[None]:
        args[1].close()  # type: ignore[attr-defined]  # the coroutine
        raise RuntimeError("no more tasks")

    async with Scope() as scope:
        await scope.enter(Probe(log, "a"))
        loop.set_task_factory(broken)  # type: ignore[arg-type]
        try:
            with pytest.raises(RuntimeError, match="no more tasks"):
                await scope.enter_all(Probe(log, "b"), Probe(log, "c"))
        finally:
            loop.set_task_factory(None)
    assert log.names("closed") == ["a"]


async def test_the_core_imports_nothing_but_the_standard_library() -> None:
    code = """
import sys
before = set(sys.modules)
import withal, withal.ledger
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names) - {"withal", "_missing_stdlib_info"}))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
