"""Scenarios for the tests of ``withal audit``: one for each way in which it may end."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType

from withal.audit import Scenario

NUMBER = 5


class Careless:
    """Leaves a task behind when it is cancelled while it opens."""

    async def __aenter__(self) -> None:
        self.task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.task.cancel()


class Careful(Careless):
    """Its twin leaves none."""

    async def __aenter__(self) -> None:
        try:
            await super().__aenter__()
        except BaseException:
            self.task.cancel()
            raise


class Kept:
    """Keeps a task, whose clean-up fails, until it is stopped."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.task = asyncio.create_task(self.beat())

    async def beat(self) -> None:
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_exception_handler({"message": "not flushed"})
            raise


@asynccontextmanager
async def keeper() -> AsyncGenerator[list[Kept]]:
    kept: list[Kept] = []
    yield kept
    for each in kept:
        each.ended.set()
        await asyncio.wait([each.task])


async def keep_a_task(kept: list[Kept]) -> None:
    kept.append(Kept())
    await asyncio.sleep(0)


keeps_a_task = Scenario(keep_a_task, setup=keeper)


async def rest() -> None:
    await asyncio.sleep(0)


async def takes_long() -> None:
    for _ in range(30):
        await asyncio.sleep(0.02)


async def never_suspends() -> None:
    """Return immediately."""


async def fail() -> None:
    raise ValueError("no\x1bdatabase")


async def needs(database: object) -> None:
    """Need an argument that is not passed."""


async def be_interrupted() -> None:
    await asyncio.sleep(0)
    raise KeyboardInterrupt


async def leave_a_thread() -> None:
    """Start a thread that would keep the program from ending when it is cancelled."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        threading.Thread(target=threading.Event().wait, name="stuck").start()
        raise


scenario = Scenario(rest, probe=rest, name="a rest")


async def prints_and_logs() -> None:
    """Write in every way there is, and leave a child process to be ended."""
    print("printed by the program")
    logging.getLogger("program").warning("logged by the program")
    child = await asyncio.create_subprocess_exec("sh", "-c", "echo written by a child")
    await child.wait()


async def closes_its_streams() -> None:
    await asyncio.sleep(0)
    sys.stdout.close()
    sys.stderr.close()


ours = [1, 2]


async def closes_descriptors() -> None:
    """Close them the first time: afterwards the numbers may belong to other files."""
    await asyncio.sleep(0)
    while ours:
        os.close(ours.pop())


async def replaces_its_streams() -> None:
    await asyncio.sleep(0)
    sys.stdout = sys.stderr = io.StringIO()
