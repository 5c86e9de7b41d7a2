"""A process that is started with pipes, and waited for."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE

from withal.audit import Scenario


async def run() -> None:
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    try:
        await process.communicate(b"text")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


scenario = Scenario(run)
