"""The example scenario of ``withal audit --new``, and advice for a scenario without a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from withal._core.printable import printable
from withal.audit import Scenario

_SKELETON: Final = '''\
"""A scenario for ``withal audit {name}:scenario``."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal.audit import Scenario


class Pool:
    """A placeholder for the code to audit: import yours instead."""

    def __init__(self, size: int) -> None:
        self.slots = asyncio.Semaphore(size)

    async def use(self) -> str:
        async with self.slots:
            await asyncio.sleep(0.001)  # an answer that takes a while
            return "answer"


@asynccontextmanager
async def pool() -> AsyncGenerator[Pool]:
    """Create a new environment for each attempt. It is not cancelled."""
    yield Pool(1)
    # Assert here what must be true at the end.


async def use(pool: Pool) -> None:
    """The scenario, cancelled at each await. Fast paths do not wait: see contended() for locks."""
    await pool.use()


async def use_again(pool: Pool) -> None:
    """Use the environment again after that, and raise if something is wrong."""
    assert await pool.use() == "answer"


scenario = Scenario(use, setup=pool, probe=use_again)
'''


def write_skeleton(file: Path) -> str:
    """Write an example scenario to a new file, and return what to do next.

    Raises:
        FileExistsError: if the file exists.
        OSError: if it cannot be written.
    """
    with file.open("x", encoding="utf-8") as new:
        new.write(_SKELETON.format(name=file.name))
    return f"wrote {file}; replace Pool by the code to audit, then: withal audit {file}:scenario"


def advice_on(scenario: Scenario) -> str:
    """Return advice for a scenario without a setup and a probe; an empty string for any other."""
    if scenario.setup is not None or scenario.probe is not None:
        return ""
    name = printable(scenario.name)
    return (
        f"Tried: {name}, called without arguments, and entered and exited if it is a context\n"
        "manager; its value was not used, and nothing was used again afterwards.\n"
        "A better scenario has a setup (a new server, pool or lock for each attempt), does what\n"
        "a user does, such as a request, and has a probe that uses the setup again: only a probe\n"
        "finds lost slots and wrong answers. withal audit --new FILE.py writes an example.\n"
    )
