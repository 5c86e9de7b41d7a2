"""Commands as resources: a process that has ended when the block has, and what it wrote."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, final


@final
@dataclass(frozen=True, slots=True)
class Command:
    """What is to be run.

    Attributes:
        words: the program and its arguments.
        environment: variables beside those of this process.
    """

    words: tuple[str | Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@final
@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        status: its exit status; None where its time was over.
        output: what it wrote, errors too.
    """

    status: int | None
    output: str

    @property
    def last_line(self) -> str:
        """The last line that it wrote, where programs tend to say why they fail."""
        return self.output.strip().rpartition("\n")[2]


async def run(command: Command, *, timeout: float) -> Ended:
    """Run a command to its end, or until so many seconds are over, and return how it ended.

    Nothing that it started is left, also where the caller is cancelled.
    """
    with TemporaryFile() as output:
        status: int | None = None
        async with started(command, output) as process:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    status = await process.wait()
        return Ended(status, written(output))


@asynccontextmanager
async def started(command: Command, output: IO[bytes]) -> AsyncGenerator[Process]:
    """Start a command in a process group of its own, all of which is killed afterwards."""
    process = await asyncio.create_subprocess_exec(
        *command.words,
        stdin=DEVNULL,
        stdout=output,
        stderr=STDOUT,
        env=os.environ | command.environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # all of it has ended
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def written(output: IO[bytes]) -> str:
    """Return what a command has written so far."""
    output.seek(0)
    return output.read().decode(errors="replace")
