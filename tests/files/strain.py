"""Tools to put files under strain: cancelled at each await, threads all taken, a loop watched."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from withal._core.descriptors import open_descriptors
from withal.files.streams import open_file as opening
from withal.files.threads.calls import call_in_thread, result_of

T = TypeVar("T")

open_any: Any = opening.open  # of any: one test for the files of all modes

TICK = 0.001
_WAITING_FOR_WORK = {"x86_64": "202", "aarch64": "98"}  # the number of futex(2)


class Cancelling(Generic[T]):
    """Awaits a coroutine and cancels the task at the coroutine's n-th suspension.

    Early, the cancellation ends what is being waited for. Late, it comes when that is done and the
    task is about to go on: the value is there, and nobody gets it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], at: int, *, late: bool = False) -> None:
        self.reached = False
        self._coroutine = coroutine
        self._at = at
        self._late = late

    def __await__(self) -> Generator[Any, Any, T]:
        error: BaseException | None = None
        suspensions = 0
        while True:
            try:
                awaited = self._resume(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            suspensions += 1
            if suspensions == self._at:
                self._cancel(awaited)
            error = None
            try:
                yield awaited
            except BaseException as thrown:
                error = thrown

    def _resume(self, error: BaseException | None) -> Any:
        return self._coroutine.send(None) if error is None else self._coroutine.throw(error)

    def _cancel(self, awaited: Any) -> None:
        self.reached = True
        task = asyncio.current_task()
        assert task is not None
        if not self._late:
            task.cancel()
        elif awaited is None:  # sleep(0)
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            awaited.add_done_callback(lambda _: task.cancel())


Outcome = tuple[bool, object]
"""Whether it was cancelled, and if not, what it returned."""


async def cancelled_at(
    coroutine: Coroutine[Any, Any, Any], at: int, *, late: bool
) -> Outcome | None:
    """Run a coroutine in a task, cancelled at its n-th suspension. None if there was none."""
    cancelling = Cancelling(coroutine, at, late=late)

    async def main() -> object:
        return await cancelling

    task = asyncio.create_task(main())
    await asyncio.wait([task])
    if not cancelling.reached:
        await task
        return None
    return (True, None) if task.cancelled() else (False, task.result())


async def ticks(count: int = 20) -> None:
    """Let the loop turn for some milliseconds. If it is blocked, this hangs until the timeout."""
    for _ in range(count):
        await asyncio.sleep(TICK)


async def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds; fail if it does not within some seconds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(TICK)
    raise AssertionError(f"waited in vain: {what}")


def busy_threads() -> list[str]:
    """Return the threads that sit in a system call other than waiting for work, or run."""
    futex = _WAITING_FOR_WORK.get(platform.machine())
    found = []
    for thread in threading.enumerate():
        if thread is threading.current_thread() or futex is None:
            continue
        try:
            call = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()[0]
        except OSError:  # it has ended, or the kernel does not say
            continue
        if call != futex:
            found.append(f"{thread.name} in system call {call}")
    return found


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that no descriptor is left, and that no thread is still busy, soon after the block."""
    before = open_descriptors()
    yield
    await wait_until(lambda: not busy_threads(), f"threads are busy: {busy_threads()}")
    await wait_until(lambda: not open_descriptors() - before, "descriptors are left")


class FullPool:
    """All threads of the pool, whatever their number, wait; until `release`."""

    MORE_THAN_THERE_ARE = 100

    def __init__(self) -> None:
        self._event = threading.Event()
        self._flights = [call_in_thread(self._event.wait) for _ in range(self.MORE_THAN_THERE_ARE)]

    async def __aenter__(self) -> FullPool:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.release()
        for flight in self._flights:
            await result_of(flight)

    def release(self) -> None:
        self._event.set()


PRELUDE = """
import asyncio, errno, os, resource, sys
from pathlib import Path
from withal.files.streams.open_file import open as open_any
"""


def child(code: str, *args: object, data: bytes = b"") -> str:
    """Run code in a process of its own, for what would change this one; return what it printed.

    The code is the body of ``async def main(*args)``.
    """
    body = textwrap.indent(textwrap.dedent(code), "    ")
    source = f"{PRELUDE}\nasync def main(*args):\n{body}\nasyncio.run(main(*sys.argv[1:]))\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *map(str, args)],
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    return done.stdout.decode().strip()
