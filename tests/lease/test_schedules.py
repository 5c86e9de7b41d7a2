"""Random schedules of machines that share leases, in virtual time.

In each one: no two bodies run inside their leases at the same time, tokens increase, and all that
waits comes to an end. ``WITHAL_LEASE_SCHEDULES`` says how many; `make test-nightly` runs 20,000.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import final

import pytest

from tests.lease.model import Machine, Server, Weather
from withal import Scope
from withal.lease import Lease, LeaseLostError, LeaseServerError, LeaseTimeoutError
from withal.testing import run

SCHEDULES = int(os.environ.get("WITHAL_LEASE_SCHEDULES", "300"))
NAMES = "a", "b"
CALM = 60.0  # seconds after which nothing fails any more
END = 600.0  # seconds after which everything has come to an end


@final
@dataclass(frozen=True, slots=True)
class Run:
    """One body: from when to when it ran inside its lease, and when it really ended."""

    name: str
    token: int
    start: float
    inside_until: float
    end: float
    was_paused: bool


@final
@dataclass(slots=True)
class World:
    """All that one schedule has."""

    random: Random
    server: Server
    machines: list[Machine]
    runs: list[Run] = field(default_factory=list[Run])
    order: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    lost: int = 0
    late: int = 0

    async def body(self, machine: Machine, lease: Lease) -> None:
        start = machine.now()
        pauses = machine.pauses
        self.order.append((lease.name, lease.token))
        claim = lease._tenure._claim
        try:
            for _ in range(self.random.randrange(1, 6)):
                await asyncio.sleep(self.random.expovariate(1 / lease.ttl))
                await machine.runs()
                if self.random.random() < 0.05:
                    raise ZeroDivisionError
        finally:
            end = machine.now()
            was_paused = machine.pauses != pauses or not machine._goes_on.is_set()
            inside = min(end, claim.held_until)
            self.runs.append(Run(lease.name, lease.token, start, inside, end, was_paused))

    async def holder(self, machine: Machine) -> None:
        """Hold leases again and again, in one way or another."""
        random, leases = self.random, machine.leases()
        while machine.now() < CALM + 20:
            await asyncio.sleep(random.expovariate(1))
            name = random.choice(NAMES)
            ttl = random.choice((1, 2, 5))
            timeout = random.choice((None, None, 0, 3, 20))
            try:
                if random.random() < 0.5:
                    async with leases.hold(name, ttl=ttl, timeout=timeout) as lease:
                        await self.body(machine, lease)
                else:
                    async with Scope("machine", open_grace=0) as scope:
                        lease = await scope.enter(leases.hold(name, ttl=ttl, timeout=timeout))
                        await self.body(machine, lease)
            except* LeaseLostError:
                self.lost += 1
            except* LeaseTimeoutError:
                self.late += 1
            except* (LeaseServerError, ZeroDivisionError):
                pass

    async def trouble(self) -> None:
        random = self.random
        while (now := asyncio.get_running_loop().time()) < CALM:
            await asyncio.sleep(random.expovariate(0.3))
            match random.randrange(4):
                case 0:
                    await self.server.restart(random.uniform(0, 4), deletes=random.random() < 0.3)
                case 1 | 2:
                    machine = random.choice(self.machines)
                    await machine.pause(random.uniform(0, 6))
                case _:
                    await asyncio.sleep(min(5, CALM - now))
        self.server.weather = Weather(0.01, 0, self.server.weather.drift)


async def schedule(seed: int) -> World:
    random = Random(seed)
    weather = Weather(
        delay=random.choice((0.001, 0.02, 0.2)),
        loss=random.choice((0, 0, 0.05, 0.3)),
        drift=random.uniform(-1e-4, 1e-4),
    )
    server = Server(random, weather)
    world = World(random, server, [Machine(server) for _ in range(random.randrange(2, 5))])
    holders = [
        asyncio.create_task(world.holder(machine))
        for machine in world.machines
        for _ in range(random.randrange(1, 3))
    ]
    trouble = asyncio.create_task(world.trouble())
    for holder in holders[1:]:
        if random.random() < 0.3:
            asyncio.get_running_loop().call_later(random.uniform(0, CALM), holder.cancel)
    async with asyncio.timeout(END):
        await trouble
        for holder in holders:
            with suppress(asyncio.CancelledError):
                await holder
    await asyncio.sleep(10)  # what was lost on its way expires
    return world


def check(world: World) -> None:
    for name in NAMES:
        runs = sorted((run for run in world.runs if run.name == name), key=lambda run: run.start)
        for before, after in itertools.pairwise(runs):
            assert before.inside_until <= after.start, (before, after)
        for each in runs:
            assert each.was_paused or each.end <= each.inside_until + 1e-6, each
        tokens = [token for other, token in world.order if other == name]
        assert tokens == sorted(set(tokens)), tokens
    for row in world.server.rows.values():
        assert not [place for place in row.places if place.until > world.server.now()], row
        assert row.until <= world.server.now(), row


@pytest.mark.slow
@pytest.mark.timeout(max(120, SCHEDULES // 4))
def test_no_two_bodies_run_inside_their_leases() -> None:
    bodies = lost = late = 0
    for seed in range(SCHEDULES):
        try:
            world = run(schedule(seed))
            check(world)
        except BaseException as error:
            error.add_note(f"in schedule {seed}")
            raise
        bodies += len(world.runs)
        lost += world.lost
        late += world.late
    assert bodies > 5 * SCHEDULES  # or the schedules would show nothing
    assert lost > SCHEDULES / 10
    assert late > SCHEDULES / 10
