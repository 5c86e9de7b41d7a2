"""The ledger: what was opened and closed, by whom, where and for how long."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from tests.laws.probes import Log, Probe, failing, forever, stubborn_until
from tests.support.loop import turns
from withal import CloseTimeoutError, Event, Outcome, Scope, Step, observing
from withal.ledger import Ledger


async def test_a_record_has_the_whole_life() -> None:
    ledger = Ledger()
    with observing(ledger):
        async with Scope("app") as app, Scope("request") as request:
            line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
            await request.enter(Probe(Log(), "a"), name="db")
            (record,) = (each for each in ledger.open() if each.name == "db")
            assert record.is_open
            assert record.seconds_open is None
            del app
    (record,) = (each for each in ledger.records if each.name == "db")
    assert (record.kind, record.scope, record.task) == ("Probe", ("app", "request"), "db")
    assert record.outcome is Outcome.OK
    times = record.opening_at, record.opened_at, record.closing_at, record.closed_at
    assert list(times) == sorted(times)  # type: ignore[type-var]
    assert record.site is not None
    assert (record.site.file, record.site.line) == (__file__, line)
    assert str(record) == f"'db' (Probe) in scope 'app > request', opened at {__file__}:{line}"


@pytest.mark.parametrize("how", ["enter", "enter_all", "inline", "spawn", "defer", "scope"])
async def test_the_site_is_the_callers_line_however_it_is_opened(how: str) -> None:
    ledger = Ledger()
    with observing(ledger):
        async with Scope("app") as scope:
            probe = Probe(Log(), "a")
            line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]
            # fmt: off
            match how:
                case "enter": await scope.enter(probe)  # noqa: E701
                case "enter_all": await scope.enter_all(probe)  # noqa: E701
                case "inline": await scope.enter(probe, inline=True)  # noqa: E701
                case "spawn": scope.spawn(turns(1))  # noqa: E701
                case "defer": scope.defer(turns, 1)  # noqa: E701
                case _: await scope.enter(Scope("inner"))  # noqa: E701
            # fmt: on
    site = ledger.records[-1].site
    assert site is not None
    cases = ["enter", "enter_all", "inline", "spawn", "defer", "scope"]
    assert site.line == line + 1 + cases.index(how)


async def test_the_summary_counts_by_kind() -> None:
    ledger = Ledger()
    with observing(ledger):
        async with Scope() as scope:
            await scope.enter_all(Probe(Log(), "a"), Probe(Log(), "b"))
            with pytest.raises(OSError, match="refused"):
                await scope.enter(Probe(Log(), "c", opening=failing(OSError("refused"))))
            scope.spawn(turns(1))
    kinds = {kind.kind: kind for kind in ledger.summary().kinds}
    assert set(kinds) == {"scope", "Probe", "task"}
    probes = kinds["Probe"]
    assert (probes.opened, probes.closed, probes.failed) == (2, 2, 1)
    assert (probes.open_now, probes.open_at_most) == (0, 2)
    assert probes.total_seconds >= probes.longest_seconds >= 0
    assert str(ledger.summary()) == "4 opened, 4 closed, 0 leaked"
    assert repr(ledger) == "<Ledger: 4 opened, 4 closed, 0 leaked>"


async def test_what_was_abandoned_has_leaked_until_it_closes() -> None:
    released = asyncio.Event()
    ledger = Ledger()
    with observing(ledger), pytest.raises(CloseTimeoutError):
        async with Scope(close_timeout=0) as scope:
            await scope.enter(Probe(Log(), "a", closing=stubborn_until(released)), name="stuck")
    assert [record.name for record in ledger.leaked()] == ["stuck"]
    assert str(ledger.summary()) == "2 opened, 1 closed, 1 leaked"
    released.set()
    await turns(5)
    assert ledger.leaked() == ()


async def test_what_is_open_in_an_open_scope_has_not_leaked() -> None:
    ledger = Ledger()
    with observing(ledger):
        async with Scope() as scope:
            await scope.enter(Probe(Log(), "a"))
            scope.spawn(forever())
            await turns(1)
            assert len(ledger.open()) == 3
            assert ledger.leaked() == ()


async def test_old_records_are_dropped_when_asked_and_still_counted() -> None:
    ledger = Ledger(keep_closed=2)
    with observing(ledger):
        async with Scope() as scope:
            for _ in range(5):
                await scope.release(await scope.enter(Probe(Log(), "a")))
    assert len(ledger.records) == 2
    assert ledger.summary().opened == 6


@pytest.mark.parametrize("closed", [9_999, 10_000, 10_001])
def test_the_newest_ten_thousand_closed_records_are_kept(closed: int) -> None:
    ledger = Ledger()
    live_through(ledger, 1, [Step.OPENING, Step.OPENED])
    for number in range(2, closed + 2):
        live_through(ledger, number, [Step.OPENING, Step.OPENED, Step.CLOSING, Step.CLOSED])
    first, *rest = [record.id for record in ledger.records]
    assert first == 1  # what is open is kept, however old it is
    assert rest == list(range(closed + 2 - min(closed, 10_000), closed + 2))
    assert str(ledger.summary()) == f"{closed + 1} opened, {closed} closed, 0 leaked"


def test_what_failed_to_open_counts_among_the_closed() -> None:
    ledger = Ledger(keep_closed=2)
    for number in range(1, 4):
        live_through(ledger, number, [Step.OPENING, Step.FAILED])
    assert [record.id for record in ledger.records] == [2, 3]
    assert sum(kind.failed for kind in ledger.summary().kinds) == 3


def test_all_records_are_kept_when_asked() -> None:
    ledger = Ledger(keep_closed=None)
    for number in range(1, 10_102):
        live_through(ledger, number, [Step.OPENING, Step.OPENED, Step.CLOSING, Step.CLOSED])
    assert len(ledger.records) == 10_101


def live_through(ledger: Ledger, number: int, steps: list[Step]) -> None:
    """Send the events of one resource."""
    for time, step in enumerate(steps):
        outcome = Outcome.OK if step in (Step.CLOSED, Step.FAILED) else None
        ledger(Event(step, time, number, "a", "probe", (), "task", outcome))


def test_a_negative_number_of_records() -> None:
    with pytest.raises(ValueError, match="zero or more"):
        Ledger(keep_closed=-1)
