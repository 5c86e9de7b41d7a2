"""Alarms: many callbacks behind one timer of the loop."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from withal.lease.alarms import Alarms
from withal.testing import run

_name = ContextVar("_name", default="none")


def alarms_here() -> Alarms:
    loop = asyncio.get_running_loop()
    return Alarms(loop, loop.time)


def test_each_is_called_at_its_time_and_a_cancelled_one_is_not() -> None:
    async def main() -> None:
        alarms, rung = alarms_here(), []
        now = asyncio.get_running_loop().time
        started = now()
        for seconds in 3.0, 1.0, 2.0, 1.0, 0.0, -1.0:
            alarms.call_at(started + seconds, lambda: rung.append(round(now() - started, 3)))
        alarms.call_at(started + 1.5, lambda: rung.append(1.5)).cancel()
        last = alarms.call_at(started + 5, lambda: rung.append(5))
        alarms.call_at(started + 4, last.cancel)
        await asyncio.sleep(10)
        assert rung == [0, 0, 1, 1, 2, 3]

    run(main())


def test_one_that_is_set_by_a_callback_is_called() -> None:
    async def main() -> None:
        alarms, rung = alarms_here(), asyncio.Event()
        now = asyncio.get_running_loop().time
        alarms.call_at(now() + 1, lambda: alarms.call_at(now() + 1, rung.set))
        await rung.wait()
        assert now() == pytest.approx(2)

    run(main())


def test_an_error_does_not_keep_others_and_the_context_is_that_of_the_setter() -> None:
    async def main() -> None:
        alarms, names = alarms_here(), []
        when = asyncio.get_running_loop().time() + 1
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: errors.append(what))

        def fail() -> None:
            raise ZeroDivisionError

        alarms.call_at(when, fail)
        for name in "ab":
            _name.set(name)
            alarms.call_at(when, lambda: names.append(_name.get()))
        _name.set("c")
        await asyncio.sleep(2)
        assert names == ["a", "b"]
        assert len(errors) == 1

    run(main())


@pytest.mark.parametrize("kept", [0, 1, 300])
def test_cancelled_ones_are_removed(kept: int) -> None:
    async def main() -> None:
        alarms = alarms_here()
        rung: list[int] = []
        for number in range(kept):
            alarms.call_at(100 + number, lambda number=number: rung.append(number))  # type: ignore[misc]
        for _ in range(1000):
            alarms.call_at(50, rung.clear).cancel()
        assert len(alarms._heap) <= 2 * kept + 101
        await asyncio.sleep(500)
        assert rung == list(range(kept))

    run(main())


def test_the_loop_has_one_timer_for_all() -> None:
    async def main() -> None:
        alarms = alarms_here()
        for seconds in range(5, 100):
            alarms.call_at(seconds, lambda: None).cancel()
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert len(scheduled) == 1

    run(main())
