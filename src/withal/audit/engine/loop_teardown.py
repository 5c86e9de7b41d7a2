"""A loop for one attempt, and its tear-down, which leaves nothing for the next attempt."""

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

_CANCEL_ROUNDS = 3  # for what does not end, before the loop is closed
_ROUND_SECONDS = 0.1  # for one of these
_MAX_POLLS = 20  # of processes that are being killed
_open_loops: list[AbstractEventLoop] = []
_WAITPID_THREAD = "asyncio-waitpid"  # the names of threads in which asyncio waits for a process


@contextmanager
def isolated_loop(
    loop_factory: Callable[[], AbstractEventLoop], kept: Set[int]
) -> Generator[tuple[AbstractEventLoop, CountingExecutor]]:
    """Yield a new loop and its executor. What is left in them afterwards is cancelled and ended.

    A thread that never ends stays, since it cannot be ended. A process that forks while it is in
    here goes on in its child as well, which has no business here, and is ended. Those processes
    stay which were there before, and those that fixtures have put among the kept ones meanwhile.
    """
    pid, before = os.getpid(), set(child_processes())
    loop = cast("object", loop_factory())  # whatever its type says
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
    """End a forked child once it returns to the loop, which cannot run its tasks.

    From CPython 3.14 on a child has no running loop, and each step of a task is an error there: the
    child would wait for its tasks for ever, and what waits for the child would, too.
    """
    for loop in _open_loops:
        if not loop.is_closed():
            loop.call_soon(os._exit, 0)


if sys.version_info >= (3, 14):
    os.register_at_fork(after_in_child=_exit_when_back_in_the_loop)


def _tear_down(loop: AbstractEventLoop, spared: set[int]) -> None:
    if not loop.is_closed():
        with suppress(RuntimeError):  # something stops it again and again
            loop.run_until_complete(_cancel_remaining(loop, spared))
        _reap(spared)  # while the threads in which asyncio waits for a process can still reach it
        loop.close()
    _reap(spared)


def _reap(spared: set[int]) -> None:
    """Kill the processes that are left, and wait for each that asyncio does not wait for.

    If a process is taken from a thread that waits for it, asyncio logs an "Unknown child process".
    The thread is waited for, too: it logs a warning if the loop is closed before it reports.
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
    """Kill processes, and give the loop time to notice, as it waits for those it started.

    Before CPython 3.12 it does so in a thread for each, which has the transport until it ends.
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
