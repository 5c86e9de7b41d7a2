"""The check of managers: it finds the defects planted here, and none in managers that are good."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any

import aiohttp
import pytest

from withal import Scope, testing
from withal._core.managers import Manager
from withal.files import part_file
from withal.testing import ManagerCheckError, check_manager

Factory = Callable[[], Manager[Any]]

LEFT: list[asyncio.Task[None] | int | threading.Thread] = []
"""What the managers with a planted defect leave behind, for the tests to clear away."""

WOKEN = threading.Event()
"""Ends the threads among them."""


def clear() -> None:
    """Close and end what was left behind."""
    for each in LEFT:
        if isinstance(each, int):
            os.close(each)
        elif isinstance(each, threading.Thread):
            WOKEN.set()
            each.join()
    LEFT.clear()
    WOKEN.clear()


def descriptor() -> int:
    fd = os.open("/dev/null", os.O_RDONLY)
    LEFT.append(fd)
    return fd


def close(fd: int) -> None:
    LEFT.remove(fd)
    os.close(fd)


async def a_while() -> None:
    await asyncio.sleep(0.001)


def problems(factory: Factory, **options: Any) -> list[str]:
    """Check in virtual time, and return what was found, as text."""

    async def main() -> list[str]:
        with pytest.raises(ManagerCheckError) as caught:
            await check_manager(factory, **options)
        for finding in caught.value.findings:
            assert f"\n  - {finding.check}: {finding.problem}" in str(caught.value)
        tasks = [each for each in LEFT if isinstance(each, asyncio.Task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [str(finding) for finding in caught.value.findings]

    found = testing.run(main())
    clear()
    return found


# Good ones


class Good:
    """It takes a descriptor, a task and a thread, and gives all back, wherever it is cancelled."""

    async def __aenter__(self) -> Good:
        self.stack = contextlib.AsyncExitStack()
        try:
            await a_while()
            fd = descriptor()
            self.stack.callback(close, fd)
            await a_while()
            task = asyncio.create_task(asyncio.Event().wait())
            self.stack.push_async_callback(self.end, task)
            await a_while()
            woken = threading.Event()
            thread = threading.Thread(target=woken.wait)
            thread.start()
            self.stack.callback(thread.join)
            self.stack.callback(woken.set)
            await a_while()
        except BaseException:
            await self.stack.aclose()
            raise
        return self

    async def end(self, task: asyncio.Task[bool]) -> None:
        task.cancel()
        await asyncio.wait((task,))

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await a_while()
        finally:
            await self.stack.aclose()


class OneShot:
    """A synchronous one that serves once."""

    used = False

    def __enter__(self) -> OneShot:
        if self.used:
            raise RuntimeError("used")
        self.used = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


@contextlib.asynccontextmanager
async def generator() -> AsyncGenerator[int]:
    fd = descriptor()
    try:
        await a_while()
        yield fd
        await a_while()
    finally:
        close(fd)


@contextlib.asynccontextmanager
async def translating() -> AsyncGenerator[None]:
    try:
        yield
    except Exception as exc:
        raise RuntimeError("translated") from exc


GOOD: list[Factory] = [
    aiohttp.ClientSession,
    asyncio.TaskGroup,
    asyncio.Lock,
    lambda: asyncio.timeout(60),
    lambda: asyncio.Semaphore(2),
    contextlib.nullcontext,
    contextlib.AsyncExitStack,
    contextlib.ExitStack,
    socket.socket,
    threading.Lock,
    Good,
    OneShot,
    generator,
    translating,
    Scope,
    testing.Resource,
]


@pytest.mark.parametrize("factory", GOOD, ids=lambda factory: factory.__qualname__)
def test_good_managers_pass(factory: Factory) -> None:
    report = testing.run(check_manager(factory))
    assert len(report.checks) == 9
    assert report.runs >= 11
    assert report.manager in str(report)


async def test_it_works_in_any_loop() -> None:
    report = await check_manager(Good)
    assert (report.opening_waits, report.closing_waits) == (4, 2)


async def test_connections_over_loopback_pass() -> None:
    @contextlib.asynccontextmanager
    async def connection() -> AsyncGenerator[None]:
        _, writer = await asyncio.open_connection(*server.getsockname())
        try:
            yield
        finally:
            writer.close()
            await writer.wait_closed()

    with socket.create_server(("127.0.0.1", 0)) as server:
        report = await check_manager(connection)
    assert report.opening_waits > 0
    assert report.closing_waits > 0


async def test_a_file_written_in_threads_passes(tmp_path: Any) -> None:
    numbers = itertools.count()
    report = await check_manager(lambda: part_file(tmp_path / str(next(numbers))))
    assert report.closing_waits > 0


def test_it_is_cancelled_at_every_wait() -> None:
    report = testing.run(check_manager(Good))
    assert (report.opening_waits, report.closing_waits) == (4, 2)


def test_of_very_many_waits_the_first_hundred_are_tried() -> None:
    @contextlib.asynccontextmanager
    async def polling() -> AsyncGenerator[None]:
        for _ in range(101):
            await asyncio.sleep(0)
        yield

    assert testing.run(check_manager(polling)).opening_waits == 100


# Planted defects


@contextlib.asynccontextmanager
async def swallows_cancellation() -> AsyncGenerator[None]:
    with contextlib.suppress(asyncio.CancelledError):
        yield


@contextlib.asynccontextmanager
async def swallows_exceptions() -> AsyncGenerator[None]:
    with contextlib.suppress(Exception):
        yield


@contextlib.asynccontextmanager
async def replaces_exceptions() -> AsyncGenerator[None]:
    try:
        yield
    finally:
        raise_if_failing()


def raise_if_failing() -> None:
    if sys.exc_info()[1] is not None:
        raise OSError("cannot flush")


@contextlib.asynccontextmanager
async def turns_exceptions_into_cancellations() -> AsyncGenerator[None]:
    try:
        yield
    except Exception as exc:
        raise asyncio.CancelledError from exc


@contextlib.asynccontextmanager
async def leaks_a_task_when_its_exit_fails() -> AsyncGenerator[None]:
    task = asyncio.create_task(asyncio.sleep(10**9), name="background")
    LEFT.append(task)
    try:
        yield
    finally:
        raise_if_failing()  # and so the task is not cancelled
        task.cancel()


@contextlib.asynccontextmanager
async def leaks_a_descriptor_when_cancelled_in_its_enter() -> AsyncGenerator[None]:
    await a_while()
    fd = descriptor()
    await a_while()
    try:
        yield
    finally:
        close(fd)


class ClosesTwice:
    def __enter__(self) -> None:
        self.fd = os.open("/dev/null", os.O_RDONLY)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.fd)
        os.close(self.fd)


@contextlib.asynccontextmanager
async def yields_twice() -> AsyncGenerator[None]:
    yield
    yield


@contextlib.contextmanager
def leaves_a_thread() -> Generator[None]:
    thread = threading.Thread(target=WOKEN.wait, name="forgotten")
    LEFT.append(thread)
    thread.start()
    yield


class HangsWhenEnteredAgain:
    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(1)

    async def __aenter__(self) -> None:
        await self.slots.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class MustCloseInReverse:
    """It counts on it that what was opened last closes first."""

    opened: list[MustCloseInReverse]

    async def __aenter__(self) -> MustCloseInReverse:
        self.opened.append(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.opened.pop() is not self:
            raise RuntimeError("closed out of order")


class CannotBeUsed(contextlib.AbstractAsyncContextManager[None]):
    async def __aenter__(self) -> None:
        raise OSError("refused")

    async def __aexit__(self, *exc: object) -> None:
        return None


@contextlib.asynccontextmanager
async def loses_the_cancellation_of_its_enter() -> AsyncGenerator[None]:
    try:
        await a_while()
    except asyncio.CancelledError:
        raise OSError("refused") from None
    yield


def test_a_manager_that_swallows_cancellation_is_found() -> None:
    found = problems(swallows_cancellation)
    assert found == ["body is cancelled: it swallows the cancellation; raise CancelledError again"]


def test_a_manager_that_swallows_exceptions_is_found_unless_it_says_so() -> None:
    assert problems(swallows_exceptions) == [
        "body raises: its exit swallows the exception; if that is intended, pass suppresses=True"
    ]
    testing.run(check_manager(swallows_exceptions, suppresses=True))
    assert problems(swallows_cancellation, suppresses=True)


def test_a_manager_that_replaces_exceptions_is_found() -> None:
    found = problems(replaces_exceptions)
    assert found[0] == "body raises: it raised OSError('cannot flush')"
    assert found[1] == "body is cancelled: it raised OSError('cannot flush')"


def test_an_exception_that_becomes_a_cancellation_is_found() -> None:
    found = problems(turns_exceptions_into_cancellations)
    assert found == ["body raises: it raised CancelledError()"]


def test_a_task_left_by_an_exit_that_fails_is_found() -> None:
    found = problems(leaks_a_task_when_its_exit_fails)
    assert any(each.startswith("body raises: it leaves behind task 'background'") for each in found)
    assert "body raises: it raised OSError('cannot flush')" in found


def test_a_descriptor_left_by_a_cancelled_enter_is_found_at_its_wait() -> None:
    found = problems(leaks_a_descriptor_when_cancelled_in_its_enter)
    assert len(found) == 1
    assert found[0].startswith("cancelled at wait 2 while opening: it leaves behind descriptor")
    assert found[0].endswith("on /dev/null")


def test_a_manager_that_closes_twice_is_found() -> None:
    found = problems(ClosesTwice)
    assert len(found) == 1
    assert found[0].startswith("used: it raised OSError(9")


def test_a_generator_that_yields_twice_is_found() -> None:
    assert "didn't stop" in problems(yields_twice)[0]


@pytest.mark.slow
def test_a_thread_left_behind_is_found() -> None:
    assert "used: it leaves behind thread 'forgotten'" in problems(leaves_a_thread)


def test_hanging_when_entered_again_is_found_with_the_place() -> None:
    found = problems(HangsWhenEnteredAgain)
    assert len(found) == 1
    assert found[0].startswith("entered again: it did not end within 5 s, and waits: 'check' at ")
    assert "in __aenter__" in found[0]


def test_closing_that_needs_an_order_is_found() -> None:
    MustCloseInReverse.opened = []
    found = problems(MustCloseInReverse)
    assert len(found) == 1
    assert found[0].startswith("closed out of order: it raised ")
    assert "RuntimeError('closed out of order')" in found[0]


def test_a_manager_that_always_fails_is_one_finding_with_its_cause() -> None:
    assert problems(CannotBeUsed) == ["used: it raised OSError('refused')"]
    with pytest.raises(ManagerCheckError, match="CannotBeUsed") as caught:
        testing.run(check_manager(CannotBeUsed))
    assert isinstance(caught.value.__cause__, OSError)


def test_an_enter_that_turns_its_cancellation_into_an_error_is_found() -> None:
    found = problems(loses_the_cancellation_of_its_enter)
    assert found == ["cancelled at wait 1 while opening: it raised OSError('refused')"]


def test_an_exit_that_takes_too_long_is_found() -> None:
    found = problems(lambda: testing.Resource("slow", closing=3), deadline=2)
    assert len(found) == 1
    assert found[0].startswith("used: it did not end within 2 s")
    testing.run(check_manager(lambda: testing.Resource("slow", closing=1), deadline=4))


async def test_an_object_that_is_not_a_manager_is_rejected() -> None:
    with pytest.raises(TypeError, match="expected a context manager"):
        await check_manager(lambda: 7)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
async def test_a_deadline_is_more_than_nothing(deadline: float) -> None:
    with pytest.raises(ValueError, match="deadline"):
        await check_manager(asyncio.Lock, deadline=deadline)


async def test_what_the_factory_raises_is_raised() -> None:
    def broken() -> Good:
        raise LookupError("no such pool")

    with pytest.raises(LookupError, match="no such pool"):
        await check_manager(broken)


def test_a_check_that_is_cancelled_takes_its_manager_along() -> None:
    double = testing.Resource("db", hold=True)

    async def main() -> None:
        task = asyncio.create_task(check_manager(lambda: double))
        await double.wait_opening()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert double.state is testing.ResourceState.FAILED

    testing.run(main())
