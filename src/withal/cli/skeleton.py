"""The skeleton of a scenario, for ``withal audit --new``, and what a bare one lacks."""

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
    """Stands for what is audited: import yours instead."""

    def __init__(self, size: int) -> None:
        self.slots = asyncio.Semaphore(size)

    async def use(self) -> str:
        async with self.slots:
            await asyncio.sleep(0.001)  # an answer that takes a while
            return "answer"


@asynccontextmanager
async def pool() -> AsyncGenerator[Pool]:
    """Make a fresh environment for each attempt. It is not cancelled."""
    yield Pool(1)
    # What must be true when all is over can be asserted here.


async def use(pool: Pool) -> None:
    """Be cancelled, at each await. Fast paths do not wait: see contended() for locks."""
    await pool.use()


async def use_again(pool: Pool) -> None:
    """Use the environment again after that, and raise if it is not as it should be."""
    assert await pool.use() == "answer"


scenario = Scenario(use, setup=pool, probe=use_again)
'''


def write_skeleton(file: Path) -> str:
    """Write a scenario to begin with into a new file, and return what to do next.

    Raises:
        FileExistsError: if there is such a file.
        OSError: if it cannot be written.
    """
    with file.open("x", encoding="utf-8") as new:
        new.write(_SKELETON.format(name=file.name))
    return f"wrote {file}; put what is audited in place of Pool, then: withal audit {file}:scenario"


def advice_on(scenario: Scenario) -> str:
    """Return what was tried of a scenario that has no setup and no probe, and what would be better.

    Nothing is returned for one that has either.
    """
    if scenario.setup is not None or scenario.probe is not None:
        return ""
    name = printable(scenario.name)
    return (
        f"Tried: {name}, called without arguments, and entered and exited if it is a context\n"
        "manager; nothing was done with what it gives, and nothing was used again afterwards.\n"
        "A better scenario has a setup (a fresh server, pool or lock for each attempt), does what\n"
        "a user does, such as a request, and has a probe, which uses the setup again: lost slots\n"
        "and wrong answers show only there. withal audit --new FILE.py writes one to begin with.\n"
    )
