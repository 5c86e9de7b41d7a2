"""Several batches that share limits, as the shards of a cluster do; in one process."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import pytest
from aiohttp import web

from withal.fetch import FetchOptions
from withal.fetch.batch import fetch_within
from withal.fetch.cluster.cluster_limits import ClusterLimits, Demand, Share

pytestmark = pytest.mark.slow

PER_HOST = 4
HOSTS = 2


@final
@dataclass(slots=True)
class Server:
    """Answers on several addresses, each of which is a host.

    Attributes:
        port: where.
        now: requests that are being answered, by host.
        most: the most of them at a time.
        refused: how many requests are answered with 429 at first.
        times: when each came.
        patience_seconds: how long a request waits for others, up to the limit of its host.
    """

    patience_seconds: float
    port: int = 0
    now: Counter[str] = field(default_factory=Counter[str])
    most: Counter[str] = field(default_factory=Counter[str])
    refused: int = 0
    times: list[float] = field(default_factory=list[float])

    async def answer(self, request: web.Request) -> web.Response:
        host = request.host
        self.times.append(asyncio.get_running_loop().time())
        if self.refused:
            self.refused -= 1
            return web.Response(status=429, headers={"Retry-After": "1"})
        self.now[host] += 1
        self.most[host] = max(self.most[host], self.now[host])
        await asyncio.sleep(0.02)
        until = self.times[-1] + self.patience_seconds
        while self.most[host] < PER_HOST and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        self.now[host] -= 1
        return web.Response(body=b"file")

    def url(self, host: int, name: str) -> str:
        return f"http://127.0.0.{host + 1}:{self.port}/{name}"


@asynccontextmanager
async def serving(patience_seconds: float = 5) -> AsyncGenerator[Server]:
    server = Server(patience_seconds)
    app = web.Application()
    app.router.add_get("/{name}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@final
class Shared:
    """Limits in this process, with the answers as late as an actor's."""

    def __init__(self, first: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self.limits = ClusterLimits(PER_HOST, None, None, None)
        self.calls: dict[int, asyncio.Event] = {}
        self.opens_at = loop.time() + (0.5 if first else -1)
        self.first = first

    def of(self, shard: int) -> One:
        self.calls[shard] = asyncio.Event()
        return One(self, shard)

    def call(self) -> None:
        for shard in self.limits.take_called():
            self.calls[shard].set()

    async def fetch(self, shard: int, urls: list[str], folder: Path) -> None:
        options = FetchOptions(backoff=0.01)
        mine = self.of(shard)
        report = await fetch_within(urls, folder / str(shard), options=options, limits=mine)
        self.limits.leave(shard)
        self.call()
        assert report.failed == 0


@final
class One:
    """What one of the batches sees of them."""

    def __init__(self, shared: Shared, shard: int) -> None:
        self._shared = shared
        self._shard = shard
        self.first: int = shared.first

    async def exchange(self, demand: Demand) -> Share:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.003, self._shared.opens_at - now))
        now = asyncio.get_running_loop().time()
        shared = self._shared
        most = shared.first if now < shared.opens_at + 0.5 else math.inf
        share = shared.limits.exchange(self._shard, demand, now, most)
        self._shared.call()
        return share

    async def wait_called(self) -> None:
        called = self._shared.calls[self._shard]
        await called.wait()
        called.clear()


async def test_the_limit_of_a_host_holds_and_is_used_by_several_batches(tmp_path: Path) -> None:
    async with serving() as server:
        shared = Shared()
        async with asyncio.TaskGroup() as group:
            for shard in range(3):
                urls = [server.url(number % HOSTS, f"{shard}-{number}") for number in range(60)]
                group.create_task(shared.fetch(shard, urls, tmp_path))
        assert sorted(server.most.values()) == [PER_HOST] * HOSTS


async def test_a_batch_that_is_alone_at_a_host_has_all_of_its_limit(tmp_path: Path) -> None:
    async with serving() as server:
        shared = Shared()
        async with asyncio.TaskGroup() as group:
            for shard in range(HOSTS):
                urls = [server.url(shard, f"{shard}-{number}") for number in range(40)]
                group.create_task(shared.fetch(shard, urls, tmp_path))
        assert sorted(server.most.values()) == [PER_HOST] * HOSTS


async def test_batches_begin_before_the_first_answer_with_their_parts(tmp_path: Path) -> None:
    async with serving() as server:
        shared = Shared(first=PER_HOST // 2)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for shard in range(2):
                urls = [server.url(0, f"{shard}-{number}") for number in range(60)]
                group.create_task(shared.fetch(shard, urls, tmp_path))
        assert server.times[0] < shared.opens_at < loop.time()
        assert list(server.most.values()) == [PER_HOST]


async def test_a_pause_that_one_was_asked_for_is_kept_by_the_others(tmp_path: Path) -> None:
    async with serving(patience_seconds=0) as server:
        server.refused = 1
        shared = Shared()
        await asyncio.gather(
            shared.fetch(0, [server.url(0, "first")], tmp_path),
            _later(0.3, shared.fetch(1, [server.url(0, "second")], tmp_path)),
        )
        assert len(server.times) == 3
        assert min(server.times[1:]) - server.times[0] > 0.9


async def _later(seconds: float, awaitable: Awaitable[None]) -> None:
    await asyncio.sleep(seconds)
    await awaitable
