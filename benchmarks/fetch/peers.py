"""The downloaders that are installed, each as its documentation says."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp

Fetch = Callable[[list[str], Path, int], Coroutine[Any, Any, None]]


async def command(*words: str | Path, stdin: str = "") -> None:
    """Run a command to its end, whatever it says."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "NO_PROXY": "*"},
    )
    await process.communicate(stdin.encode())


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


async def bare(urls: list[str], folder: Path, wide: int) -> None:
    """Do what a program does that knows of nothing that can go wrong."""
    left = iter(urls)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for url in left:
                part = folder / f".{name_of(url)}.part"
                async with session.get(url) as response:
                    with part.open("wb") as file:
                        async for chunk in response.content.iter_any():
                            file.write(chunk)
                part.rename(folder / name_of(url))

        await asyncio.gather(*(work() for _ in range(wide)))


async def _withal(urls: list[str], folder: Path, wide: int, transport: str) -> None:
    from withal.fetch import FetchOptions, TransportName, fetch_each

    options = FetchOptions(jobs=wide, per_host=wide, transport=TransportName(transport))
    async for result in fetch_each(urls, folder, options=options):
        if result.error is not None:
            raise result.error


async def by_aiohttp(urls: list[str], folder: Path, wide: int) -> None:
    await _withal(urls, folder, wide, "aiohttp")


async def by_curl(urls: list[str], folder: Path, wide: int) -> None:
    await _withal(urls, folder, wide, "curl")


async def withal_command(urls: list[str], folder: Path, wide: int) -> None:
    wide_ = ("-j", str(wide), "--per-host", str(wide))
    words = (sys.executable, "-m", "withal", "fetch", "-q", "-i", "-", "-o", folder, *wide_)
    await command(*words, "--idle-timeout", "2", "--max-bytes", "20M", stdin="\n".join(urls))


async def curl(urls: list[str], folder: Path, wide: int) -> None:
    config = "".join(f'url="{url}"\noutput="{folder}/{name_of(url)}"\n' for url in urls)
    await command("curl", "-Z", "--parallel-max", str(wide), "-fsL", "-K", "-", stdin=config)


async def wget2(urls: list[str], folder: Path, wide: int) -> None:
    words = ("wget2", "-q", f"--max-threads={wide}", "-P", folder, "-i", "-")
    await command(*words, "--tries=2", "--timeout=5", stdin="\n".join(urls))


async def aria2(urls: list[str], folder: Path, wide: int) -> None:
    words = ("aria2c", "-q", "-j", str(wide), "-x1", "-d", folder, "-i", "-")
    await command(*words, "--max-tries=2", "--timeout=5", stdin="\n".join(urls))


def found(*names: str) -> dict[str, Fetch]:
    """Return those of these that are installed."""
    commands: dict[str, tuple[str | None, Fetch]] = {
        "bare loop": (None, bare),
        "withal, aiohttp": (None, by_aiohttp),
        "withal, curl": (None, by_curl),
        "withal fetch": (None, withal_command),
        "curl -Z": ("curl", curl),
        "wget2": ("wget2", wget2),
        "aria2": ("aria2c", aria2),
    }
    return {
        name: fetch
        for name in names
        for program, fetch in (commands[name],)
        if program is None or shutil.which(program)
    }
