"""Tools to put files under strain: what is left is looked for, code runs in another process."""

from __future__ import annotations

import platform
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.loop import wait_until
from withal._core.descriptors import open_descriptors
from withal.files.streams import open_file as opening

T = TypeVar("T")

open_any: Any = opening.open  # of any: one test for the files of all modes

_WAITING_FOR_WORK = {"x86_64": "202", "aarch64": "98"}  # the number of futex(2)


def busy_threads() -> dict[threading.Thread, str]:
    """Return the threads that are in a system call other than waiting for work, or run."""
    futex = _WAITING_FOR_WORK.get(platform.machine())
    found = {}
    for thread in threading.enumerate():
        if thread is threading.current_thread() or futex is None:
            continue
        try:
            call = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()[0]
        except OSError:  # it has ended, or the kernel does not say
            continue
        if call != futex:
            found[thread] = f"{thread.name} in system call {call}"
    return found


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that no descriptor is left, and that no thread is still busy, soon after the block.

    Threads that are busy before, such as those of servers that several tests use, may stay so.
    """
    before = open_descriptors()
    others = busy_threads().keys()
    yield
    busy = busy_threads().values()
    await wait_until(lambda: busy_threads().keys() <= others, f"threads are busy: {list(busy)}")
    await wait_until(lambda: not open_descriptors() - before, "descriptors are left")


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
