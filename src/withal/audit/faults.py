"""Faults: a proxy whose peer fails at a chosen chunk of its answers, once or from then on.

It runs in a process of its own, as the slow proxy does, and counts from the start in each attempt.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from withal.audit.proxy import end_process
from withal.audit.session import session


@final
class Fault(StrEnum):
    """How a peer fails."""

    CLOSE = "close"
    """It closes the connection in place of a chunk, in good order."""

    CUT = "cut"
    """It sends half of a chunk, and resets the connection."""

    DELAY = "delay"
    """A chunk comes late."""

    STALL = "stall"
    """A chunk never comes, and the connection stays open."""


@final
@dataclass(frozen=True, slots=True)
class _Proxy:
    """The process, and where it listens."""

    process: subprocess.Popen[str]
    address: tuple[str, int]

    def begin(self) -> None:
        """Have it count from the start."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("begin\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


@asynccontextmanager
async def faults(
    host: str,
    port: int,
    fault: Fault | str,
    *,
    at: int = 1,
    lasting: bool = False,
    delay: float = 0.05,
) -> AsyncGenerator[tuple[str, int]]:
    """Pass TCP connections on to a server whose answers fail at a chosen chunk; yield its address.

    For the setup of a scenario that handles such failures: a library must do so, cancelled or not.
    Audit it for each fault, and for each chunk that there is. A chunk is what the proxy reads at
    once, at most 64 KiB; chunks are counted over all connections of an attempt, from 1.

    It listens on 127.0.0.1, on a port that is free. In an audit one process serves all attempts,
    and ends with the audit; elsewhere it ends with the block. A cancellation of the block ends it
    as a normal end does.

    Args:
        host: of the server.
        port: of the server.
        fault: how it fails, from `Fault`, or the name of one.
        at: at which chunk.
        lasting: whether it fails at each later chunk, too, and not only once.
        delay: seconds that a chunk is late, if that is the fault.

    Raises:
        ValueError: if there is no such fault, `at` is less than 1, or the delay is negative.
        OSError: if the process cannot be started.

    Example:
        >>> async def main():
        ...     async with faults("127.0.0.1", 6379, "cut", at=2) as (host, port):
        ...         return host
        >>> asyncio.run(main())
        '127.0.0.1'
    """
    try:
        fault = Fault(fault)
    except ValueError:
        raise ValueError(f"{fault!r} is not a fault; there are {', '.join(Fault)}") from None
    if at < 1:
        raise ValueError(f"at is the number of a chunk, 1 or more; got {at}")
    if delay < 0:
        raise ValueError(f"delay is a number of seconds, 0 or more; got {delay!r}")
    what = (host, str(port), fault.value, str(at), str(int(lasting)), str(delay))
    current = session.get()
    if current is None:
        with ExitStack() as kept:
            yield (await asyncio.to_thread(_start, kept, what)).address
        return
    name = "faults", *what
    if name not in current.shared:
        proxy = await asyncio.to_thread(_start, current.kept, what)
        current.processes.add(proxy.process.pid)
        current.shared[name] = proxy
    await asyncio.to_thread(current.shared[name].begin)
    yield current.shared[name].address


def _start(kept: ExitStack, what: tuple[str, ...]) -> _Proxy:
    """Start the process, and return it with where it listens."""
    command = (sys.executable, "-m", "withal.audit.faults_process", *what)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    kept.callback(end_process, process)
    assert process.stdout is not None
    address = process.stdout.readline().split()
    if len(address) != 2:
        raise OSError(f"the proxy to {what[0]}:{what[1]} did not start")
    return _Proxy(process, (address[0], int(address[1])))
