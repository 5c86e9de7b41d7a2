"""What may run now is given out: in order within a host, the hosts in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest

from withal.fetch.schedule import WINDOW_REQUESTS, Schedule
from withal.http import HostGate
from withal.testing import run


@dataclass(frozen=True)
class Piece:
    host: str
    number: int


class Source:
    """Gives pieces out, some at a time, and counts them."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.left = pieces
        self.taken = 0

    async def __call__(self, most: int) -> list[Piece] | None:
        await asyncio.sleep(0)
        given, self.left = self.left[:most], self.left[most:]
        self.taken += len(given)
        return given or None


def pieces(hosts: str) -> list[Piece]:
    return [Piece(host, number) for number, host in enumerate(hosts)]


async def work(schedule: Schedule[Piece], done: list[Piece], seconds: float = 1.0) -> None:
    while (piece := await schedule.next()) is not None:
        await asyncio.sleep(seconds)
        done.append(piece)
        schedule.leave(piece.host)


async def all_of(
    hosts: str, gate: HostGate, workers: int = 8, seconds: float = 1.0
) -> tuple[list[Piece], float]:
    schedule = Schedule(gate, Source(pieces(hosts)))
    done: list[Piece] = []
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(work(schedule, done, seconds) for _ in range(workers)))
    return done, asyncio.get_running_loop().time() - began


def test_each_host_is_in_order_and_all_are_done() -> None:
    done, _ = run(all_of("aabbabcc" * 50, HostGate(per_host=1)))
    assert len(done) == 400
    for host in "abc":
        numbers = [piece.number for piece in done if piece.host == host]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize(("per_host", "seconds"), [(1, 12), (3, 4), (9, 2)])
def test_no_more_than_the_limits_run(per_host: int, seconds: float) -> None:
    _, took = run(all_of("a" * 12, HostGate(per_host=per_host, total=8)))
    assert took == pytest.approx(seconds)


def test_a_host_at_its_limit_does_not_hold_up_the_others() -> None:
    done, took = run(all_of("a" * 40 + "bcd", HostGate(per_host=1), workers=4))
    assert {piece.host for piece in done[:4]} == set("abcd")
    assert took == pytest.approx(40)


def test_a_paused_host_does_not_hold_up_the_others() -> None:
    async def main() -> float:
        gate = HostGate()
        gate.pause("a", 30)
        _, took = await all_of("aab" * 10, gate, workers=2)
        return took

    assert run(main()) == pytest.approx(30 + 10)


def test_the_window_is_bounded() -> None:
    async def main() -> int:
        gate = HostGate(per_host=1)
        gate.pause("a", 50)
        source = Source(pieces("a" * 10_000))
        schedule = Schedule(gate, source)
        worker = asyncio.ensure_future(schedule.next())
        await asyncio.sleep(1)
        worker.cancel()
        return source.taken

    assert 0 < run(main()) <= WINDOW_REQUESTS


def test_what_is_to_run_again_does_so_after_its_delay() -> None:
    async def main() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        schedule = Schedule(HostGate(), Source(pieces("ab")))
        seen: list[tuple[float, int]] = []
        began = loop.time()

        async def once_more() -> None:
            while (piece := await schedule.next()) is not None:
                seen.append((loop.time() - began, piece.number))
                if len(seen) == 1:
                    schedule.again(piece, 5)
                schedule.leave(piece.host)

        await asyncio.gather(once_more(), once_more())
        return seen

    assert run(main()) == [(0, 0), (0, 1), (pytest.approx(5), 0)]


def test_a_turn_given_back_early_is_taken_by_another() -> None:
    async def main() -> None:
        gate = HostGate(per_host=1)
        schedule = Schedule(gate, Source(pieces("aa")))
        first = await schedule.next()
        assert first is not None
        second = asyncio.ensure_future(schedule.next())
        await asyncio.sleep(1)
        assert not second.done()
        schedule.give_back("a")
        assert (await second) == Piece("a", 1)
        schedule.leave("")
        schedule.leave("a")
        assert await schedule.next() is None

    run(main())


def test_stopped_it_gives_out_nothing_more() -> None:
    async def main() -> Counter[object]:
        gate = HostGate(per_host=1)
        schedule = Schedule(gate, Source(pieces("a" * 100)))
        waiting = [asyncio.ensure_future(schedule.next()) for _ in range(5)]
        await asyncio.sleep(1)
        schedule.stop()
        return Counter(await asyncio.gather(*waiting))

    assert run(main()) == {Piece("a", 0): 1, None: 4}


def test_an_error_of_the_source_is_raised() -> None:
    async def broken(most: int) -> list[Piece] | None:
        raise ZeroDivisionError

    async def main() -> None:
        await Schedule(HostGate(), broken).next()

    with pytest.raises(ZeroDivisionError):
        run(main())
