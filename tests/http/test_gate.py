"""The gate lets in as many as it may, in order, and never loses a turn."""

from __future__ import annotations

import asyncio
import math
from collections import Counter

import pytest

from withal.http import HostGate
from withal.testing import run as run_virtual


class Visits:
    """Counts who is inside, and notes the most and the order."""

    def __init__(self, gate: HostGate) -> None:
        self.gate = gate
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_in_all = 0
        self.began: list[tuple[str, float]] = []

    async def visit(self, host: str, seconds: float = 1.0) -> None:
        async with self.gate.passing(host):
            self.began.append((host, asyncio.get_running_loop().time()))
            self.inside[host] += 1
            self.most[host] = max(self.most[host], self.inside[host])
            self.most_in_all = max(self.most_in_all, self.inside.total())
            await asyncio.sleep(seconds)
            self.inside[host] -= 1

    async def all(self, hosts: str, seconds: float = 1.0) -> None:
        await asyncio.gather(*(self.visit(host, seconds) for host in hosts))


def visits(gate: HostGate, hosts: str) -> tuple[Visits, float]:
    """Have them all visit at once; return what was seen and how long it took."""

    async def main() -> tuple[Visits, float]:
        seen = Visits(gate)
        began = asyncio.get_running_loop().time()
        await seen.all(hosts)
        now = gate.statistics()
        assert (now.running, now.waiting) == (0, 0)
        return seen, asyncio.get_running_loop().time() - began

    return run_virtual(main())


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_than_the_limit_are_at_one_host(limit: int) -> None:
    seen, took = visits(HostGate(per_host=limit), "a" * 6)
    assert seen.most == {"a": limit}
    assert took == pytest.approx(6 / limit)


def test_hosts_do_not_wait_for_each_other() -> None:
    seen, took = visits(HostGate(per_host=1), "aabb")
    assert seen.most_in_all == 2
    assert took == pytest.approx(2)


def test_the_limit_in_all_is_shared_by_the_hosts_in_turn() -> None:
    seen, took = visits(HostGate(per_host=9, total=2), "aaaabbbb")
    assert seen.most_in_all == 2
    assert took == pytest.approx(4)
    assert Counter(host for host, _ in seen.began[2:6]) == {"a": 2, "b": 2}


@pytest.mark.parametrize("name", ["rate", "host_rate"])
def test_requests_begin_evenly_spaced(name: str) -> None:
    rates: dict[str, float] = {name: 4}
    seen, _ = visits(HostGate(**rates), "aaaa")  # type: ignore[arg-type]
    times = [time - seen.began[0][1] for _, time in seen.began]
    assert times == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_pause_is_for_one_host_is_capped_and_is_never_shortened() -> None:
    async def main() -> None:
        gate = HostGate(max_pause=10)
        assert gate.pause("a", 99) == 10
        assert gate.pause("a", 3) == 3
        assert gate.statistics().paused == {"a": pytest.approx(10)}
        seen = Visits(gate)
        began = asyncio.get_running_loop().time()
        await seen.all("ab")
        assert {host: time - began for host, time in seen.began} == {
            "a": pytest.approx(10),
            "b": pytest.approx(0),
        }

    run_virtual(main())


def test_who_waits_is_let_in_first_come_first_served() -> None:
    async def main() -> list[int]:
        gate = HostGate(per_host=1)
        order: list[int] = []

        async def visit(number: int) -> None:
            async with gate.passing("a"):
                order.append(number)
                await asyncio.sleep(1)

        await asyncio.gather(*map(visit, range(5)))
        return order

    assert run_virtual(main()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("turns", range(6))
def test_a_waiter_that_is_cancelled_at_any_moment_loses_no_turn(turns: int) -> None:
    async def main() -> None:
        gate = HostGate(per_host=1)
        await gate.enter("a")
        waiter = asyncio.ensure_future(gate.enter("a"))
        behind = asyncio.ensure_future(gate.enter("a"))
        await asyncio.sleep(0)
        for turn in range(6):
            if turn == turns:
                waiter.cancel()
            if turn == 2:
                gate.leave("a")
            await asyncio.sleep(0)
        if not waiter.cancelled():
            await waiter
            gate.leave("a")
        await asyncio.wait_for(behind, 1)
        gate.leave("a")
        assert gate.statistics().running == 0

    run_virtual(main())


def test_a_wider_limit_lets_in_at_once() -> None:
    async def main() -> None:
        gate = HostGate(total=1)
        await gate.enter("a")
        second = asyncio.ensure_future(gate.enter("b"))
        await asyncio.sleep(0)
        assert not second.done()
        gate.resize(2)
        await second
        assert repr(gate) == "<HostGate: 2 running, 0 waiting>"

    run_virtual(main())


def test_unused_hosts_are_forgotten() -> None:
    async def main() -> None:
        gate = HostGate()
        for number in range(5000):
            async with gate.passing(f"host{number}"):
                pass
        assert len(gate._hosts) <= 1025

    run_virtual(main())


@pytest.mark.parametrize(
    "arguments",
    [
        {"per_host": 0},
        {"total": 0},
        {"rate": 0},
        {"host_rate": -1},
        {"rate": math.nan},
        {"max_pause": -1},
        {"max_pause": math.nan},
    ],
)
def test_limits_that_are_none_are_refused(arguments: dict[str, float]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        HostGate(**arguments)  # type: ignore[arg-type]
