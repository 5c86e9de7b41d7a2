"""Runs ``withal`` as a user does: in a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

# No proxy of the machine's own, and one width for what is laid out for a terminal.
_ENVIRONMENT = {**os.environ, "NO_PROXY": "*", "COLUMNS": "80"}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and the lines that it said."""

    status: int
    out: list[str]
    err: list[str]


@contextmanager
def running(*args: object, stderr: int = subprocess.PIPE) -> Generator[subprocess.Popen[str]]:
    """Start ``withal`` with arguments, and leave no process."""
    with subprocess.Popen(
        [sys.executable, "-m", "withal", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=_ENVIRONMENT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # which does nothing to one that has ended


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for its end."""
    out, err = process.communicate()
    return Done(process.returncode, out.splitlines(), (err or "").splitlines())


def done(*args: object) -> Done:
    """Run ``withal`` with arguments."""
    with running(*args) as process:
        return ended(process)


async def ran(*args: object) -> Done:
    """Do as `done`, while the test's own loop goes on: there is a server in it."""
    return await asyncio.to_thread(done, *args)
