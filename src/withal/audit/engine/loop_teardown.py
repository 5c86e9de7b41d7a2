"""A loop for one attempt, and its tear-down, which removes all leftovers of the attempt."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Collection, Generator, Set
from contextlib import contextmanager, suppress
from typing import cast

from withal.audit.session import CountingExecutor
from withal.inspection.processes import child_processes

_CANCEL_ROUNDS = 3  # for tasks that do not end, before the loop is closed
_ROUND_SECONDS = 0.1  # for each of these rounds
_MAX_POLLS = 20  # of processes that are being killed
_open_loops: list[AbstractEventLoop] = []
_WAITPID_THREAD = "asyncio-waitpid"  # the prefix of threads in which asyncio waits for a process


@contextmanager
def isolated_loop(
    loop_factory: Callable[[], AbstractEventLoop], kept: Set[int]
) -> Generator[tuple[AbstractEventLoop, CountingExecutor]]:
    """Yield a new loop and its executor; at the end, their remaining tasks are cancelled.

    A thread that never ends stays, because threads cannot be killed. If audited code forks, the
    forked child also returns here, and exits. Child processes are killed, except those that existed
    before and those in `kept`, which fixtures add meanwhile.
    """
    pid, before = os.getpid(), set(child_processes())
    loop = cast("object", loop_factory())  # checked at run time
    if not isinstance(loop, AbstractEventLoop):
        raise TypeError(f"loop_factory returned {loop!r}, which is not an event loop")
    executor = CountingExecutor()
    loop.set_default_executor(executor)
    _open_loops.append(loop)
    try:
        yield loop, executor
    finally:
        _open_loops.remove(loop)
        if os.getpid() != pid:
            os._exit(0)
        _tear_down(loop, before | kept)
        executor.shutdown(wait=not executor.calls, cancel_futures=True)
        gc.collect()  # here, so that its warnings do not count for the next attempt


def _exit_when_back_in_the_loop() -> None:
    """End a forked child when it returns to the loop, which cannot run its tasks.

    Since CPython 3.14 a child has no running loop, and each step of a task raises an error there.
    So the child would wait for its tasks for ever, and so would a parent that waits for the child.
    """
    for loop in _open_loops:
        if not loop.is_closed():
            loop.call_soon(os._exit, 0)


if sys.version_info >= (3, 14):
    os.register_at_fork(after_in_child=_exit_when_back_in_the_loop)


def _tear_down(loop: AbstractEventLoop, spared: set[int]) -> None:
    if not loop.is_closed():
        with suppress(RuntimeError):  # a task stops the loop repeatedly
            loop.run_until_complete(_cancel_remaining(loop, spared))
        _reap(spared)  # while the threads in which asyncio waits for a process can still reach it
        loop.close()
    _reap(spared)


def _reap(spared: set[int]) -> None:
    """Kill the remaining processes, and wait for each that asyncio does not wait for.

    If a process were reaped here while a thread of asyncio waits for it, asyncio would log "Unknown
    child process". That thread is awaited, too: it logs a warning if the loop is closed before it
    reports.
    """
    left = set(child_processes()) - spared
    for pid in left:
        _kill(pid)
    for _ in range(_MAX_POLLS if left else 0):
        if not _is_waited_for_in_threads():
            break
        time.sleep(_ROUND_SECONDS / _MAX_POLLS)
    for pid in left:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


async def _cancel_remaining(loop: AbstractEventLoop, spared: set[int]) -> None:
    for _ in range(_CANCEL_ROUNDS):
        left = asyncio.all_tasks(loop) - {asyncio.current_task()}
        if not left:
            break
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_ROUND_SECONDS)
    with suppress(TimeoutError):
        await asyncio.wait_for(loop.shutdown_asyncgens(), _ROUND_SECONDS)
    await _kill_children(set(child_processes()) - spared)


async def _kill_children(left: Collection[int]) -> None:
    """Kill processes, and give the loop time to notice the end of those that it has started.

    Before CPython 3.12 the loop waits for each in a thread, which keeps the transport until it
    ends:
    https://docs.python.org/3/whatsnew/3.12.html#asyncio
    """
    for pid in left:
        _kill(pid)
    for _ in range(_MAX_POLLS if left else 0):
        if not _is_waited_for_in_threads() and not set(child_processes()).intersection(left):
            break
        await asyncio.sleep(_ROUND_SECONDS / _MAX_POLLS)
    await asyncio.sleep(0)  # for the loop to handle the end of the last of them


def _is_waited_for_in_threads() -> bool:
    return any(thread.name.startswith(_WAITPID_THREAD) for thread in threading.enumerate())


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
