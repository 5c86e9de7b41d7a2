"""What Ray costs a download: ``python -m benchmarks.fetch_on_ray``. Needs ``withal[http,ray]``.

The same shards are fetched by two workers of a Ray cluster on this machine and by two processes
that are started by hand. Both are running when the time begins. The server is a third process.

Then two ways to keep the limit of a host over a cluster are put beside each other, with four
workers and a server that takes 50 ms for each answer: an equal share for each worker, adjusted as
workers come and go, and what withal does, grants for each host to the workers that need it.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from withal.fetch import FetchOptions, on_ray
from withal.fetch.cluster import cluster
from withal.fetch.cluster.cluster_limits import Demand, Numbers, Share
from withal.fetch.cluster.shard import Marker, Shard, fetch_shard

WORKERS = 2
SHARDS = 8
SHARD = 1000
ROUNDS = 3
BODY = b"0123456789" * 400
OPTIONS = FetchOptions(per_host=16)

LIMITED = FetchOptions(per_host=8)
HOSTS = 4
DELAY = 0.05  # seconds


class EqualShares:
    """The rejected way: each worker has an equal share of the limit of each host.

    A shard that comes gets what is free, and its share when the others have given up theirs.
    """

    def __init__(self, options: FetchOptions, first: int) -> None:
        self._first = first
        self._sees_at = time.monotonic() + 1
        self._left = Numbers()
        self._per_host = options.per_host
        self._used: dict[int, dict[str, int]] = {}

    async def exchange(self, shard: int, demand: Demand) -> Share:
        if shard in self._left:
            return Share({}, None, None, None, {})
        hosts = set(demand.running) | set(demand.waiting)
        self._used.setdefault(shard, {})
        part = math.ceil(self._per_host / len(self._used))
        if time.monotonic() < self._sees_at:
            part = self._first
        share = {host: min(part, self._free(shard, host)) for host in hosts}
        self._used[shard] = {
            host: max(number, demand.running.get(host, 0)) for host, number in share.items()
        }
        return Share(share, None, None, None, {})

    def _free(self, shard: int, host: str) -> int:
        used = sum(each.get(host, 0) for other, each in self._used.items() if other != shard)
        return max(0, self._per_host - used)

    async def wait_called(self, shard: int) -> None:
        await asyncio.sleep(0.05)

    async def leave(self, shard: int) -> None:
        self._used.pop(shard, None)
        self._left.add(shard)


async def serve(delay: float) -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(delay)
        return web.Response(body=BODY)

    app = web.Application()
    app.router.add_get("/{number}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def by_hand(urls: list[str], folder: Path, pool: ProcessPoolExecutor) -> float:
    start = time.perf_counter()
    marker = Marker.new(folder)
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


@contextmanager
def server(delay: float) -> Generator[int]:
    """Have a server in a process of its own; yield its port."""
    command = [sys.executable, "-m", "benchmarks.fetch_on_ray", "serve", str(delay)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()


@contextmanager
def workers(count: int) -> Generator[None]:
    """Have a cluster with so many CPUs."""
    import ray

    # As those that are started by hand; else others on this machine have the processor first.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - as Ray spells it
    ray.init(address="local", num_cpus=count, log_to_driver=False, include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()


def measure_overhead() -> None:
    with (
        server(0) as port,
        workers(WORKERS),
        ProcessPoolExecutor(WORKERS) as pool,
        tempfile.TemporaryDirectory() as name,
    ):
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(SHARDS * SHARD)]
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(ROUNDS + 1):  # the first starts the workers, and does not count
            times[0].append(by_hand(urls, Path(name) / f"hand {turn}", pool))
            times[1].append(asyncio.run(by_ray(urls, Path(name) / f"ray {turn}")))
        least = asyncio.run(by_ray(urls[:WORKERS], Path(name) / "two"))
        hand, on = (statistics.median(each[1:]) for each in times)
        print(
            f"{len(urls)} URLs in {SHARDS} shards, {WORKERS} workers: by hand {hand:.2f} s, "
            f"on Ray {on:.2f} s, ratio {on / hand:.2f} (goal: 1.10 at most); "
            f"{WORKERS} URLs alone {least:.2f} s",
            flush=True,
        )


def lists(port: int, count: int) -> dict[str, list[str]]:
    """Return lists of URLs, each for the time that the limits allow."""
    hosts = [f"http://127.0.0.{number + 1}:{port}" for number in range(HOSTS)]
    by_host = [[f"{host}/{number}" for number in range(count)] for host in hosts]
    return {
        "one host": by_host[0],
        "four hosts, one after the other": [url for urls in by_host for url in urls],
        "four hosts, mixed": [url for urls in zip(*by_host, strict=True) for url in urls],
    }


async def timed(urls: list[str], folder: Path) -> float:
    start = time.perf_counter()
    results = on_ray(urls, folder, shard_size=len(urls) // HOSTS, options=LIMITED)
    assert [each.error async for each in results] == [None] * len(urls)
    return time.perf_counter() - start


def measure_limits() -> None:
    grants = cluster._Limits
    count = 400
    least = count * DELAY / LIMITED.per_host
    with server(DELAY) as port, workers(HOSTS), tempfile.TemporaryDirectory() as name:
        asyncio.run(timed(lists(port, 40)["one host"], Path(name) / "warm"))
        for kind, urls in lists(port, count).items():
            print(f"{kind}: the limit allows {least:.1f} s", end="")
            for way, limits in ("equal shares", EqualShares), ("grants by host", grants):
                cluster._Limits = limits  # type: ignore[misc, assignment]
                took = asyncio.run(timed(urls, Path(name) / f"{kind} {way}"))
                print(f"; {way} {took:.1f} s", end="", flush=True)
            print()
    cluster._Limits = grants  # type: ignore[misc]


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(float(sys.argv[2])))
    else:
        measure_overhead()
        measure_limits()
