"""The demo's server as a resource: a process that has ended when the block ends."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import final

from withal._core.errors import WithalError

_START_SECONDS = 30.0
_END_SECONDS = 2.0


@final
class ServerStartError(WithalError):
    """The demo's server did not start.

    Attributes:
        reason: what happened instead.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the demo's server did not start: {self.reason}"


@asynccontextmanager
async def server_process(files: int) -> AsyncGenerator[str]:
    """Start the demo's server with `files` files, and yield its address.

    The process has ended when the block ends: it is terminated, and killed if it does not end. It
    also ends on its own when this process ends in any way.

    Raises:
        ServerStartError: if the process cannot be created, has ended, or printed no port within
            30 seconds.
    """
    # -P: a random.py in the current folder must not break the server. A new session: a Ctrl-C goes
    # to the command alone, which then ends the server.
    command = (sys.executable, "-P", "-m", "withal.cli.demo.server", str(files))
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
    except OSError as error:
        raise ServerStartError(str(error)) from error
    try:
        yield f"http://127.0.0.1:{await _port(process)}"
    finally:
        await _end(process)


async def _port(process: Process) -> int:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            if line := await process.stdout.readline():
                return int(line)
            status = await process.wait()
    except TimeoutError:
        raise ServerStartError(f"it printed no port in {_START_SECONDS:.0f} seconds") from None
    raise ServerStartError(f"it ended with status {status}; see its output above")


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
