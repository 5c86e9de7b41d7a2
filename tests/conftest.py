"""Runs coroutine tests, on asyncio's own loop and on uvloop, and fails a test that leaks.

A test that is a coroutine function runs once on each loop, in a loop of its own. Whatever the
test, it fails if it leaves a task, a descriptor or a thread behind, or if the loop's exception
handler was called.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import inspect
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import hypothesis
import pytest

from withal._core.descriptors import open_descriptors

try:
    import uvloop
except ImportError:  # the suite also runs without uvloop
    uvloop = None  # type: ignore[assignment]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": getattr(uvloop, "new_event_loop", asyncio.new_event_loop),
}


SETTLING_SECONDS = 5.0
"""How long threads may run after a test: a server closes its connections, and the thread of asyncio
for a process ends after the process."""

GRACE_SECONDS = 60.0
"""How long a test may go on after its time limit. Then its process ends and prints all stacks.

The limit raises an exception in the main thread. A task may keep that exception, or a clean-up that
never ends may follow it. A test run has to end in these cases too.
"""

EXIT_SECONDS = 120.0
"""How long the process may take to end after the last test."""

TESTS_A_FREEZE = 50
"""After this many tests, all new objects (mainly imported modules) are frozen."""

TESTS_A_COLLECTION = 1000
"""After this many tests, frozen objects are collected, too. That takes a tenth of a second."""

_tests = count()

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("withal", deadline=None)
hypothesis.settings.load_profile("withal")


_stderr = 2
"""A copy of standard error, which pytest does not capture."""


def pytest_configure() -> None:
    global _stderr  # noqa: PLW0603
    _stderr = os.dup(2)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # xdist ends its workers
        faulthandler.dump_traceback_later(EXIT_SECONDS, exit=True, file=_stderr)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the process if a test goes on for long after its time limit."""
    seconds = _time_limit(item)
    if seconds and not item.config.getoption("usepdb"):
        faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True, file=_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _time_limit(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    if marker is not None and marker.args:
        return float(marker.args[0])
    given = item.config.getoption("timeout", None)
    return float(given if given is not None else item.config.getini("timeout") or 0)


def pytest_sessionstart() -> None:
    for name in LOOPS:  # uvloop opens some descriptors for the whole process with its first loop
        run_and_check(lambda: asyncio.sleep(0), name)


def pytest_runtest_logstart() -> None:
    """Exclude the objects of earlier tests from the garbage collections around each test."""
    number = next(_tests)
    if number % TESTS_A_COLLECTION == 0:
        gc.unfreeze()
    if number % TESTS_A_FREEZE == 0:
        gc.collect()
        gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("loop_name")
        missing = pytest.mark.skipif(uvloop is None, reason="uvloop is not installed")
        metafunc.parametrize("loop_name", ["asyncio", pytest.param("uvloop", marks=missing)])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    gc.collect()
    before = open_descriptors(), set(threading.enumerate())
    result = yield
    gc.collect()
    descriptors = open_descriptors() - before[0]
    until = monotonic() + SETTLING_SECONDS
    while descriptors and monotonic() < until:
        sleep(0.01)
        descriptors = open_descriptors() - before[0]
    if descriptors:
        pytest.fail(f"the test leaked descriptors: {sorted(descriptors)}")
    threads = set(threading.enumerate()) - before[1]
    for each in threads:
        each.join(max(0.0, until - monotonic()))
    threads = {each for each in threads if each.is_alive()}
    if threads:
        pytest.fail(f"the test leaked threads: {threads}")
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    args = {name: pyfuncitem.funcargs[name] for name in names}
    run_and_check(lambda: test(**args), str(pyfuncitem.callspec.params["loop_name"]))
    return True


def run_and_check(test: Callable[[], Coroutine[Any, Any, object]], loop_name: str) -> None:
    """Run a coroutine in a new loop, and fail if it leaves a task or an unhandled error."""
    unhandled: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        await test()
        for _ in range(3):  # a task that was cancelled may need a turn to end
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"the test leaked tasks: {left}"

    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
        runner.run(main())
    gc.collect()
    assert not unhandled, f"the loop's exception handler was called: {unhandled}"


@pytest.fixture
def root() -> Path:
    """Return the folder of the project."""
    return Path(__file__).parent.parent
