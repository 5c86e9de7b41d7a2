"""What Ray costs a download: ``python -m benchmarks.fetch_on_ray``. Needs ``withal[http,ray]``.

The same shards are fetched by two workers of a Ray cluster on this machine and by two processes
that are started by hand. Both are running when the time begins. The server is a third process.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from withal.fetch import FetchOptions, on_ray
from withal.fetch.cluster import Shard, _mark, fetch_shard

WORKERS = 2
SHARDS = 8
SHARD = 500
ROUNDS = 5
BODY = b"0123456789" * 400
OPTIONS = FetchOptions(per_host=16)


async def serve() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=BODY)

    app = web.Application()
    app.router.add_get("/{number}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def by_hand(urls: list[str], folder: Path, pool: ProcessPoolExecutor) -> float:
    start = time.perf_counter()
    marker = _mark(folder)
    share = replace(OPTIONS, per_host=OPTIONS.per_host // WORKERS)
    shards = [
        Shard(number, tuple(urls[number * SHARD : (number + 1) * SHARD]), marker, share)
        for number in range(SHARDS)
    ]
    assert sum(len(results) for results in pool.map(fetch_shard, shards)) == len(urls)
    return time.perf_counter() - start


async def by_ray(urls: list[str], folder: Path) -> float:
    start = time.perf_counter()
    results = [each async for each in on_ray(urls, folder, shard_size=SHARD, options=OPTIONS)]
    assert sum(each.error is None for each in results) == len(urls)
    return time.perf_counter() - start


def main() -> None:
    import ray

    ray.init(num_cpus=WORKERS, log_to_driver=False, include_dashboard=False)
    command = [sys.executable, "-m", "benchmarks.fetch_on_ray", "serve"]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server,
        ProcessPoolExecutor(WORKERS) as pool,
        tempfile.TemporaryDirectory() as name,
    ):
        assert server.stdout is not None
        assert server.stdin is not None
        port = int(server.stdout.readline())
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(SHARDS * SHARD)]
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(ROUNDS + 1):  # the first starts the workers, and does not count
            times[0].append(by_hand(urls, Path(name) / f"hand {turn}", pool))
            times[1].append(asyncio.run(by_ray(urls, Path(name) / f"ray {turn}")))
        hand, on = (statistics.median(each[1:]) for each in times)
        print(
            f"{len(urls)} URLs in {SHARDS} shards, {WORKERS} workers: by hand {hand:.2f} s, ",
            end="",
        )
        print(f"on Ray {on:.2f} s, ratio {on / hand:.2f} (goal: 1.10 at most)")
        server.stdin.close()
    ray.shutdown()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
