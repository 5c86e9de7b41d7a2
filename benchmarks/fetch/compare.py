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

_SECONDS = 20.0
_PEERS = ("withal, limits", "withal, split", "curl -Z", "wget2", "aria2", "parfive", "pypdl")


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


async def main() -> None:
    """Print the table."""
    peers = found(*_PEERS)
    print(f"{'':38}", *(f"{name:14}" for name in peers))
    totals = {name: Counter[str]() for name in peers}
    for behaviour in EXPECTED:
        row: list[str] = []
        for name, fetch in peers.items():
            command = (sys.executable, "-P", hostile.__file__)
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                try:
                    server = f"http://127.0.0.1:{int(process.stdout.readline())}"
                    row.append(await outcome(fetch, server, behaviour))
                finally:
                    process.kill()
            totals[name][row[-1]] += 1
        print(f"{behaviour.replace('_', ' '):38}", *(f"{each:14}" for each in row), flush=True)
    for kind in ("right", "none", "WRONG", "hangs"):
        print(f"{kind:38}", *(f"{totals[name][kind]:<14}" for name in peers))


if __name__ == "__main__":
    asyncio.run(main())
