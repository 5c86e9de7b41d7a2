"""Eight processes, one lease, real servers, and all that can go wrong.

Processes are stopped for up to twice the ``ttl`` and killed, the server is killed and started
again, and a proxy before it cuts, delays and swallows what passes. ``WITHAL_LEASE_CHAOS`` says for
how many seconds; by default it is a short form, at two kinds of server. `make test-nightly` runs
two minutes at each kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import pytest

from tests.servers import postgres, redis
from tests.support.proxy import Proxy, proxy_to

SECONDS = float(os.environ.get("WITHAL_LEASE_CHAOS", "8"))
IS_LONG = SECONDS >= 60
PROCESSES = 8
TTL = 2.0
SLACK = 2.0  # seconds beyond the ttl within which somebody has it again
KINDS = ["redis", "asyncpg", "redis, durable", "psycopg", "files"]
ROOT = Path(__file__).parents[2]


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    time: float
    process: int
    what: str
    token: int
    more: str


@final
@dataclass(slots=True)
class Body:
    """One body, and whether it was held up for longer than the margin allows for."""

    process: int
    token: int
    start: float
    end: float
    was_held_up: bool = False


@final
@dataclass(slots=True)
class Chaos:
    """The processes, and what was done to them."""

    kind: str
    folder: Path
    address: str
    proxy: Proxy | None = None
    restart: Callable[[], None] | None = None
    workers: list[asyncio.subprocess.Process] = field(
        default_factory=list[asyncio.subprocess.Process]
    )
    stops: list[tuple[int, float, float]] = field(default_factory=list[tuple[int, float, float]])
    kills: dict[int, float] = field(default_factory=dict[int, float])
    faults: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    lag: float = 0.0

    async def start_worker(self) -> None:
        command = [sys.executable, "-m", "tests.lease.chaos_worker"]
        command += [self.kind, self.address, str(self.folder), str(TTL)]
        with (self.folder / "errors").open("ab") as errors:
            worker = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdin=DEVNULL, stdout=DEVNULL, stderr=errors
            )
        self.workers.append(worker)

    def _victim(self) -> asyncio.subprocess.Process:
        """Return the process that holds the lease now, two times of three, or any."""
        last = [entry for entry in self.log() if entry.what in ("enter", "leave")][-1:]
        holders = [each for each in self.workers if last and each.pid == last[0].process]
        return random.choice(holders if holders and random.random() < 2 / 3 else self.workers)

    async def kill_worker(self) -> None:
        worker = self._victim()
        self.workers.remove(worker)
        await self._kill(worker)
        await self.start_worker()

    async def _kill(self, worker: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        self.kills[worker.pid] = time.monotonic()
        async with asyncio.timeout(30):
            await worker.wait()

    async def stop_worker(self) -> None:
        worker = self._victim()
        start = time.monotonic()
        worker.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(random.uniform(0.1, 2 * TTL))
        finally:
            worker.send_signal(signal.SIGCONT)
        self.stops.append((worker.pid, start, time.monotonic()))

    async def restart_server(self) -> None:
        assert self.restart is not None
        await asyncio.to_thread(self.restart)

    async def cut(self) -> None:
        assert self.proxy is not None
        self.proxy.cut()

    async def delay(self) -> None:
        assert self.proxy is not None
        self.proxy.delay = random.uniform(0.01, 0.15)
        await asyncio.sleep(random.uniform(0.5, 2))
        self.proxy.delay = 0

    async def swallow(self) -> None:
        assert self.proxy is not None
        self.proxy.swallows = True
        await asyncio.sleep(random.uniform(0.1, 1.5 * TTL))
        self.proxy.swallows = False
        self.proxy.cut()  # a connection of which a piece is missing is of no use

    def troubles(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        found = [self.stop_worker, self.stop_worker, self.kill_worker]
        if self.proxy is not None:
            found += [self.cut, self.delay, self.swallow]
        if self.restart is not None:
            found.append(self.restart_server)
        return found

    async def run(self, seconds: float) -> None:
        watch = asyncio.create_task(self._watch())
        try:
            for _ in range(PROCESSES):
                await self.start_worker()
            await self._until_started()
            await self._cause_troubles(seconds)
            await asyncio.sleep(TTL + SLACK)
        finally:
            watch.cancel()
            for worker in self.workers:
                await self._kill(worker)

    async def _cause_troubles(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for trouble in random.sample(self.troubles(), len(self.troubles())):
                await trouble()
                self.faults.append((trouble.__name__, time.monotonic()))
                await asyncio.sleep(random.uniform(0.2, 1.5))
                if time.monotonic() > until:
                    break

    async def _until_started(self) -> None:
        async with asyncio.timeout(60):
            while sum(entry.what == "start" for entry in self.log()) < PROCESSES:
                await asyncio.sleep(0.2)

    async def _watch(self) -> None:
        """See how busy the machine is: what is late for that reason is not a fault of a lease."""
        while True:
            start = time.monotonic()
            await asyncio.sleep(0.05)
            self.lag = max(self.lag, time.monotonic() - start - 0.05)

    def log(self) -> list[Entry]:
        path = self.folder / "log"
        entries = []
        for line in path.read_text().splitlines() if path.exists() else []:
            when, process, what, token, *more = line.split(" ", 4)
            entries.append(Entry(float(when), int(process), what, int(token), *more))
        return entries

    def bodies(self) -> list[Body]:
        """Return all bodies in the order in which they began."""
        found: dict[int, Body] = {}
        for entry in self.log():
            if entry.what == "enter":
                end = self.kills.get(entry.process, entry.time)
                found[entry.token] = Body(entry.process, entry.token, entry.time, end)
            elif entry.what == "leave":
                found[entry.token].end = entry.time
            elif entry.what == "lag":
                found[entry.token].was_held_up = True
        for body in found.values():
            for process, start, end in self.stops:
                if process == body.process and start < body.end and body.start < end:
                    body.was_held_up = True
        return sorted(found.values(), key=lambda body: body.start)


def check(chaos: Chaos) -> str:
    """Check what must hold whatever has happened, and return what did."""
    log, bodies = chaos.log(), chaos.bodies()
    tokens = [body.token for body in bodies]
    assert tokens == sorted(set(tokens)), "tokens do not increase"
    accepted = [entry.token for entry in log if entry.what == "accepted"]
    overlaps = 0
    for index, body in enumerate(bodies):
        for after in bodies[index + 1 : index + 10]:
            if body.end > after.start:
                assert body.was_held_up, (body, after)
                overlaps += 1
    worst = 0.0
    for name, when in chaos.faults:
        waited = min(
            (max(0.0, body.start - when) for body in bodies if body.end > when),
            default=float("inf"),
        )
        assert waited <= TTL + SLACK + chaos.lag, (name, waited, chaos.lag)
        worst = max(worst, waited)
    assert len(bodies) > SECONDS / 2, f"{len(bodies)} bodies, {Counter(e.what for e in log)}"
    return (
        f"{chaos.kind}: {len(bodies)} bodies, {len(accepted)} writes accepted, "
        f"{sum(entry.what == 'rejected' for entry in log)} stale ones rejected, "
        f"{overlaps} overlaps of bodies that were stopped or starved, "
        f"{sum('LeaseLostError' in entry.more for entry in log)} lost; "
        f"faults: {dict(Counter(name for name, _ in chaos.faults))}; "
        f"held again after {worst:.2f} s at most; the machine was late by {chaos.lag:.2f} s at most"
    )


@asynccontextmanager
async def prepared(kind: str, folder: Path) -> AsyncGenerator[Chaos]:
    with contextlib.ExitStack() as stack:
        if kind == "files":
            yield Chaos(kind, folder, str(folder / "leases"))
            return
        if kind.startswith("redis"):
            durable = ["--appendonly", "yes", "--appendfsync", "always"]
            options = durable if "durable" in kind else []
            server = stack.enter_context(redis.redis_server(*options))
            async with proxy_to(server.port) as proxy:
                address = f"redis://127.0.0.1:{proxy.port}/0"
                yield Chaos(kind, folder, address, proxy, server.restart)
        else:
            database = stack.enter_context(postgres.postgres_server())
            async with proxy_to(database.port) as proxy:
                address = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
                yield Chaos(kind, folder, address, proxy, database.restart)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.parametrize("kind", KINDS if IS_LONG else KINDS[:2])
def test_whatever_happens_one_holds_it(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind.startswith("redis") and redis.PROGRAM is None:
        pytest.skip(redis.MISSING)
    if kind in ("asyncpg", "psycopg") and postgres.PROGRAM is None:
        pytest.skip(postgres.MISSING)
    if kind != "files":
        pytest.importorskip(kind.partition(",")[0])

    async def main() -> Chaos:
        async with prepared(kind, tmp_path) as chaos:
            await chaos.run(SECONDS)
        return chaos

    chaos = asyncio.run(main())
    try:
        result = check(chaos)
    except AssertionError as error:
        errors = (tmp_path / "errors").read_text()
        error.add_note(f"faults: {chaos.faults}\nerrors of the processes: {errors[-3000:]}")
        raise
    with capsys.disabled():
        print(f"\n{result}")
