"""A slow proxy: many bugs hide behind a server on the same machine, which answers at once.

It runs in a process of its own, so that its sockets are not mistaken for the scenario's, and lasts
for the whole audit, so that an attempt does not wait for a process to start.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager

from withal.audit.session import session

_PATIENCE = 10.0  # seconds that the process has to end


@asynccontextmanager
async def slow_proxy(
    host: str, port: int, latency: float = 0.02
) -> AsyncGenerator[tuple[str, int]]:
    """Pass TCP connections on to a server, with so much delay each way; yield where to connect.

    It listens on 127.0.0.1, on a port that is free. In an audit one process serves all attempts,
    and ends with the audit; elsewhere it ends with the block. A connection that cannot be passed on
    is closed. A cancellation of the block ends it as a normal end does.

    Args:
        host: of the server.
        port: of the server.
        latency: seconds, in each direction.

    Raises:
        ValueError: the latency is negative.
        OSError: the process cannot be started.

    Example:
        >>> async def main():
        ...     async with slow_proxy("127.0.0.1", 6379, latency=0.05) as (host, port):
        ...         return host
        >>> asyncio.run(main())
        '127.0.0.1'
    """
    if latency < 0:
        raise ValueError(f"latency is a number of seconds, 0 or more; got {latency!r}")
    current = session.get()
    if current is None:
        with ExitStack() as kept:
            address, _ = await asyncio.to_thread(_start, kept, host, port, latency)
            yield address
        return
    name = "slow_proxy", host, port, latency
    if name not in current.shared:
        address, pid = await asyncio.to_thread(_start, current.kept, host, port, latency)
        current.processes.add(pid)
        current.shared[name] = address
    yield current.shared[name]


def _start(kept: ExitStack, host: str, port: int, latency: float) -> tuple[tuple[str, int], int]:
    """Start the process, and return where it listens, and its number."""
    command = (sys.executable, "-m", "withal.audit.proxy_process", host, str(port), str(latency))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    kept.callback(end_process, process)
    assert process.stdout is not None
    address = process.stdout.readline().split()
    if len(address) != 2:
        raise OSError(f"the proxy to {host}:{port} did not start")
    return (address[0], int(address[1])), process.pid


def end_process(process: subprocess.Popen[str]) -> None:
    """End the process by closing its standard input, for which it waits."""
    with process:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
