"""The downloaders that are installed, each as its documentation says."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp

Fetch = Callable[[list[str], Path, int], Coroutine[Any, Any, None]]

_MOST_SECONDS = 120


async def command(*words: str | Path, stdin: str = "") -> None:
    """Run a command to its end, whatever it says; after two minutes it is killed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "NO_PROXY": "*"},
    )
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


async def bare(urls: list[str], folder: Path, wide: int) -> None:
    """Do what a program does that knows of nothing that can go wrong."""
    left = iter(urls)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for url in left:
                part = folder / f".{name_of(url)}.part"
                async with session.get(url, raise_for_status=True) as response:
                    with part.open("wb") as file:
                        async for chunk in response.content.iter_any():
                            file.write(chunk)
                part.rename(folder / name_of(url))

        await asyncio.gather(*(work() for _ in range(wide)))


async def pycurl_loop(urls: list[str], folder: Path, wide: int) -> None:
    """Use libcurl from Python without an event loop and without any check: the least it costs."""
    import pycurl

    multi = pycurl.CurlMulti()
    free = [pycurl.Curl() for _ in range(wide)]
    left = iter(urls)
    active: dict[Any, tuple[str, list[bytes]]] = {}

    def start() -> None:
        while free and (url := next(left, None)) is not None:
            curl, chunks = free.pop(), list[bytes]()
            curl.setopt(pycurl.URL, url)
            curl.setopt(pycurl.WRITEFUNCTION, chunks.append)
            active[curl] = url, chunks
            multi.add_handle(curl)

    start()
    while active:
        multi.perform()
        _, done, failed = multi.info_read()
        assert not failed, failed
        for curl in done:
            multi.remove_handle(curl)
            free.append(curl)
            url, chunks = active.pop(curl)
            part = folder / f".{name_of(url)}.part"
            with part.open("xb", buffering=0) as file:
                file.write(b"".join(chunks))
            part.rename(folder / name_of(url))
        start()
        if not done:
            multi.select(1.0)
    multi.close()


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


async def withal_command(
    urls: list[str], folder: Path, wide: int, *more: str, transport: str = "auto"
) -> None:
    wide_ = ("-j", str(wide), "--per-host", str(wide), "--transport", transport)
    words = (sys.executable, "-m", "withal", "fetch", "-q", "-i", "-", "-o", folder, *wide_)
    await command(*words, *more, stdin="\n".join(urls))


async def withal_limited(urls: list[str], folder: Path, wide: int) -> None:
    limits = ("--idle-timeout", "2", "--max-bytes", "20000000", "--attempts", "4")
    await withal_command(urls, folder, wide, *limits, transport="aiohttp")


async def withal_in_segments(urls: list[str], folder: Path, wide: int) -> None:
    limits = ("--idle-timeout", "2", "--max-bytes", "20000000", "--attempts", "4")
    await withal_command(urls, folder, 4, *limits, "--segments", "4", transport="curl")


async def curl(urls: list[str], folder: Path, wide: int) -> None:
    config = "".join(f'url="{url}"\noutput="{folder}/{name_of(url)}"\n' for url in urls)
    await command("curl", "-Z", "--parallel-max", str(wide), "-fsL", "-K", "-", stdin=config)


async def wget(urls: list[str], folder: Path, wide: int) -> None:
    """Fetch one file after the other: wget has no option for more."""
    await command(
        "wget", "-q", "-P", folder, "-i", "-", "--tries=2", "--timeout=5", stdin="\n".join(urls)
    )


async def wget2(urls: list[str], folder: Path, wide: int) -> None:
    with tempfile.NamedTemporaryFile("w") as file:  # wget2 1.99 waits for ever at a pipe
        file.write("\n".join(urls) + "\n")
        file.flush()
        words = ("wget2", "-q", f"--max-threads={wide}", "-P", folder, "-i", file.name)
        await command(*words, "--tries=2", "--timeout=5")


async def aria2(urls: list[str], folder: Path, wide: int) -> None:
    words = ("aria2c", "-q", "-j", str(wide), "-x1", "-d", folder, "-i", "-")
    await command(*words, "--max-tries=2", "--timeout=5", stdin="\n".join(urls))


_PARFIVE = """
import sys
from parfive import Downloader
folder, wide, *urls = sys.argv[1:]
downloader = Downloader(max_conn=int(wide), max_splits=1, progress=False)
for url in urls:
    downloader.enqueue_file(url, path=folder, filename=url.rpartition("/")[2])
downloader.download()
"""


async def parfive(urls: list[str], folder: Path, wide: int) -> None:
    await command(sys.executable, "-c", _PARFIVE, folder, str(wide), *urls)


_PYPDL = """
import sys
import os, tempfile
from pypdl import Pypdl
os.chdir(tempfile.gettempdir())  # it writes a log where it is
folder, wide, *urls = sys.argv[1:]
tasks = [{"url": url, "file_path": f"{folder}/{url.rpartition('/')[2]}"} for url in urls]
dl = Pypdl(allow_reuse=False, max_concurrent=int(wide))
dl.start(tasks=tasks, multisegment=False, display=False, retries=2)
dl.shutdown()
"""


async def pypdl(urls: list[str], folder: Path, wide: int) -> None:
    await command(sys.executable, "-c", _PYPDL, folder, str(wide), *urls)


def found(*names: str) -> dict[str, Fetch]:
    """Return those of these that are installed."""
    commands: dict[str, tuple[str | None, Fetch]] = {
        "bare loop": (None, bare),
        "pycurl loop": ("pycurl", pycurl_loop),
        "withal, aiohttp": (None, by_aiohttp),
        "withal, curl": (None, by_curl),
        "withal fetch": (None, withal_command),
        "withal, limits": (None, withal_limited),
        "withal, split": (None, withal_in_segments),
        "curl -Z": ("curl", curl),
        "wget": ("wget", wget),
        "wget2": ("wget2", wget2),
        "aria2": ("aria2c", aria2),
        "parfive": ("parfive", parfive),
        "pypdl": ("pypdl", pypdl),
    }
    return {
        name: fetch
        for name in names
        for program, fetch in (commands[name],)
        if program is None or shutil.which(program) or find_spec(program)
    }
