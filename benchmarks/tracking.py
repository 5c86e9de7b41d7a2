"""What tracking costs, each program with and without it: ``python -m benchmarks.tracking``.

The programs run in processes of their own, in turn. Times are processor time, which says more on a
machine that does other things, too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from textwrap import dedent

from rich.console import Console
from rich.table import Table

from withal.tracking.options import TrackOptions

ROUNDS = 5

START = "import asyncio\nasyncio.run(asyncio.sleep(0))\n"

STATEMENTS = """
    import time
    class Nothing:
        def __enter__(self): return self
        def __exit__(self, *exc): return None
    nothing = Nothing()
    def run():
        for _ in range(200_000):
            with nothing:
                pass
    started = time.process_time()
    run()
    print((time.process_time() - started) / 200_000)
    """

RESOURCES = """
    import socket, time
    def run():
        for _ in range(50_000):
            socket.socket().close()
    started = time.process_time()
    run()
    print((time.process_time() - started) / 50_000)
    """

TASKS = """
    import asyncio, time
    async def nothing():
        pass
    async def run():
        for _ in range(50_000):
            await asyncio.create_task(nothing())
    started = time.process_time()
    asyncio.run(run())
    print((time.process_time() - started) / 50_000)
    """

FILES = """
    import time
    def run():
        for _ in range(50_000):
            open(__file__).close()
    started = time.process_time()
    run()
    print((time.process_time() - started) / 50_000)
    """

REQUESTS = """
    import asyncio, time
    import aiohttp
    from aiohttp import web

    COUNT = 20_000

    async def answer(request):
        return web.Response(text="ok")

    async def main():
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"
        async with aiohttp.ClientSession() as session:
            async def worker(count):
                for _ in range(count):
                    async with session.get(url) as response:
                        await response.read()
            started = time.process_time()
            await asyncio.gather(*[worker(COUNT // 20) for _ in range(20)])
            print((time.process_time() - started) / COUNT)
        await runner.cleanup()
    asyncio.run(main())
    """

MANY = """
    import resource, socket
    def run():
        for _ in range(1_000_000):
            socket.socket().close()
    run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    """


def output(command: list[str], folder: Path) -> float:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True)
    return float(done.stdout or 0)


def measured(source: str, folder: Path, rounds: int) -> tuple[float, float]:
    """Return the medians of what a program prints, with and without tracking."""
    path = folder / "program.py"
    path.write_text(dedent(source))
    options = TrackOptions(str(path), quiet=True).dumped()
    commands = [sys.executable, "-m", "withal.tracking", options], [sys.executable, str(path)]
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for command, values in zip(commands, found, strict=True):
            values.append(output(command, folder))
    return median(found[0]), median(found[1])


def start_up(folder: Path) -> tuple[float, float]:
    """Return the medians of the time of a whole program, by the command and without it."""
    path = folder / "program.py"
    path.write_text(START)
    timed = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    command = [sys.executable, "-m", "withal", "track", "-q", str(path)]
    plain = [sys.executable, str(path)]
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(2 * ROUNDS):
        for each, values in zip((command, plain), found, strict=True):
            values.append(output([sys.executable, "-c", timed, *each], folder))
    return median(found[0][1:]), median(found[1][1:])


def main() -> None:
    table = Table(
        "what", "tracked", "plain", "more", "bound", title=f"CPython {sys.version.split()[0]}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tracked, plain = start_up(folder)
        more = tracked - plain
        row = [f"{1e3 * each:.0f} ms" for each in (tracked, plain, more)]
        table.add_row("start of a program", *row, "150 ms")
        for title, source, bound in (
            ("a with statement", STATEMENTS, "2 us"),
            ("a socket, opened and closed", RESOURCES, "4 us"),
            ("a file, opened and closed", FILES, "4 us"),
            ("a task", TASKS, "4 us"),
        ):
            tracked, plain = measured(source, folder, ROUNDS)
            row = [f"{1e6 * each:.2f} us" for each in (tracked, plain, tracked - plain)]
            table.add_row(title, *row, bound)
        tracked, plain = measured(REQUESTS, folder, 3)
        more = tracked / plain - 1
        row = [f"{1e6 * tracked:.0f} us", f"{1e6 * plain:.0f} us", f"{more:.0%}"]
        table.add_row("a request of aiohttp, of 20,000", *row, "10%")
        tracked, plain = measured(MANY, folder, 1)
        row = [f"{each / 2**20:.0f} MiB" for each in (tracked, plain, tracked - plain)]
        table.add_row("memory, of 1,000,000 sockets", *row, "200 MiB")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
