"""Puts the downloaders that are installed through the hostile servers of the tests.

    python -m benchmarks.fetch.compare

For each behaviour, what is under the final name in the end: ``right`` (or nothing, where there is
no file to be had), ``none`` where there should be a file, or ``WRONG``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fetch import hostile
from tests.fetch.hostile import ALSO, EXPECTED

from benchmarks.fetch.peers import Fetch, found

_SECONDS = 60.0
_SIDE_BY_SIDE_COUNT = 4
_NEEDS_A_HEADER = "leads_to_another_origin"  # which the peers are not run with
_PEERS = (
    "withal, limits",
    "withal, split",
    "curl -Z",
    "wget",
    "wget2",
    "aria2",
    "parfive",
    "pypdl",
)


async def outcome(fetch: Fetch, server: str, name: str) -> str:
    """Return what becomes of one behaviour."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "folder"
        folder.mkdir()
        try:
            async with asyncio.timeout(_SECONDS):
                await fetch([f"{server}/{name}"], folder, 1)
        except TimeoutError:
            return "hangs"
        expected = EXPECTED[name]
        path = folder / name
        if not path.is_file():
            return "none" if isinstance(expected, bytes) else "right"
        if isinstance(expected, str):
            return "WRONG"
        return "right" if path.read_bytes() in (expected, ALSO.get(name)) else "WRONG"


async def served(fetch: Fetch, behaviour: str, turns: asyncio.Semaphore) -> str:
    """Return what becomes of one behaviour, of a server of its own."""
    command = (sys.executable, "-P", hostile.__file__)
    async with turns:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            server = f"http://127.0.0.1:{int(await process.stdout.readline())}"
            return await outcome(fetch, server, behaviour)
        finally:
            process.kill()
            await process.wait()


async def main() -> None:
    """Print the table."""
    peers = found(*_PEERS)
    turns = asyncio.Semaphore(_SIDE_BY_SIDE_COUNT)
    rows = {
        behaviour: [
            asyncio.create_task(served(fetch, behaviour, turns)) for fetch in peers.values()
        ]
        for behaviour in EXPECTED
        if behaviour != _NEEDS_A_HEADER
    }
    print(f"{'':38}", *(f"{name:14}" for name in peers))
    totals = {name: Counter[str]() for name in peers}
    for behaviour, tasks in rows.items():
        row = [await task for task in tasks]
        for name, each in zip(peers, row, strict=True):
            totals[name][each] += 1
        print(f"{behaviour.replace('_', ' '):38}", *(f"{each:14}" for each in row), flush=True)
    for kind in ("right", "none", "WRONG", "hangs"):
        print(f"{kind:38}", *(f"{totals[name][kind]:<14}" for name in peers))


if __name__ == "__main__":
    asyncio.run(main())
