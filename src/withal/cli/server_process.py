"""The demo's server as a resource: a process that is started, and that has ended afterwards."""

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
        reason: what it did in place of telling its port.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the demo's server did not start: {self.reason}"


@asynccontextmanager
async def server_process(files: int) -> AsyncGenerator[str]:
    """Start the demo's server with so many files, and yield its address.

    When the block ends the process has ended too: it is asked to, and killed if it does not. It
    also ends by itself when this process dies, however that happens.

    Raises:
        ServerStartError: there can be no new process, or it ended, or said nothing for 30 seconds.
    """
    # -P: a folder that happens to have a random.py in it must not break the server. A session of
    # its own: a Ctrl-C is for the command alone, which then ends the server when it is done.
    command = (sys.executable, "-P", "-m", "withal.cli.demo_server", str(files))
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
        raise ServerStartError(f"it said nothing for {_START_SECONDS:.0f} seconds") from None
    raise ServerStartError(f"it ended with status {status}; what it said is above")


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
