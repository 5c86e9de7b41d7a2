"""Law 10: each step is an event with a monotonic time, and observers cannot break a scope."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.laws.probes import Log, Probe, failing, forever, stubborn_until
from tests.support.loop import turns
from withal import (
    CloseTimeoutError,
    Event,
    Outcome,
    Scope,
    Step,
    observing,
)


def steps(events: list[Event], name: str) -> list[str]:
    return [event.step.value for event in events if event.name == name]


async def test_each_step_of_each_kind_sends_an_event_in_order() -> None:
    events: list[Event] = []
    log = Log()
    with observing(events.append):
        async with Scope("app") as scope:
            await scope.enter(Probe(log, "a"), name="hosted")
            await scope.enter(Probe(log, "b"), name="inline", inline=True)
            scope.defer(turns, 1)
            scope.spawn(forever())
            await scope.enter(Scope("inner"))
    for name in ("app", "hosted", "inline", "turns", "forever", "inner"):
        assert steps(events, name) == ["opening", "opened", "closing", "closed"], name
    assert [event.time for event in events] == sorted(event.time for event in events)
    kinds = {event.name: event.kind for event in events}
    assert kinds == {
        "app": "scope",
        "hosted": "Probe",
        "inline": "Probe",
        "turns": "callback",
        "forever": "task",
        "inner": "scope",
    }
    assert {event.scope for event in events if event.name == "hosted"} == {("app",)}
    assert {event.scope for event in events if event.name == "app"} == {()}
    assert len({event.id for event in events}) == 6


async def test_failures_losses_and_abandonments_send_events() -> None:
    events: list[Event] = []
    log = Log()
    lost = Probe(log, "lost")
    released = asyncio.Event()
    with observing(events.append), pytest.raises((CloseTimeoutError, ExceptionGroup)):
        async with Scope(close_timeout=0.01) as scope:
            with pytest.raises(OSError, match="refused"):
                await scope.enter(Probe(log, "a", opening=failing(OSError("refused"))), name="bad")
            await scope.enter(lost, name="lost")
            await scope.enter(Probe(log, "b", closing=stubborn_until(released)), name="stuck")
            assert lost.tasks[0] is not None
            lost.tasks[0].cancel()
            await forever()
    assert steps(events, "bad") == ["opening", "failed"]
    assert steps(events, "lost") == ["opening", "opened", "lost", "closing", "closed"]
    assert steps(events, "stuck") == ["opening", "opened", "closing", "abandoned"]
    released.set()
    await turns(5)
    assert steps(events, "stuck")[-1] == "closed"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.OK),
        (ValueError(), Outcome.ERROR),
        (asyncio.CancelledError(), Outcome.CANCELLED),
    ],
)
async def test_the_closing_event_of_a_scope_has_its_outcome(
    error: BaseException | None, outcome: Outcome
) -> None:
    events: list[Event] = []
    try:
        with observing(events.append):
            async with Scope("app"):
                if error is not None:
                    raise error
    except BaseException as exc:
        assert exc is error  # noqa: PT017 - any exception at all
    assert events[-1].step is Step.CLOSED
    assert events[-1].outcome is outcome


async def test_an_observer_that_raises_breaks_neither_the_scope_nor_the_other_observers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(event: Event) -> None:
        raise ValueError("observer")

    events: list[Event] = []
    log = Log()
    with observing(broken), observing(events.append):
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
    log.check_all_closed()
    assert len(events) == 8
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert "the scope goes on" in caplog.text


async def test_only_tasks_started_in_the_block_are_observed() -> None:
    events: list[Event] = []

    async def use(name: str) -> None:
        async with Scope(name, parent=None):
            pass

    with observing(events.append):
        task = asyncio.create_task(use("inside"))
    await task
    await use("outside")
    assert {event.name for event in events} == {"inside"}


async def test_a_snapshot_shows_what_is_open_as_a_tree() -> None:
    log = Log()
    async with Scope("app", open_grace=0) as app:
        await app.enter(Probe(log, "a"), name="db")
        opening = asyncio.create_task(app.enter(Probe(log, "b", opening=forever), name="slow"))
        await turns(5)
        async with Scope("request") as request:
            request.spawn(forever())
            lines = str(app.snapshot()).splitlines()
            assert lines[0] == "app: open"
            assert lines[1].startswith("├─ db (Probe): open, opened in 0.0")
            assert lines[2] == "├─ slow (Probe): opening"
            assert lines[3] == "└─ request: open"
            assert lines[4].startswith("   └─ forever (task): open")
        inner = await app.enter(Scope("inner"))
        assert [each.name for each in app.snapshot().resources] == ["db", "slow"]
        assert [each.name for each in app.snapshot().children] == ["inner"]
        assert repr(app) == "<Scope 'app' open, 2 resources>"
        await app.release(inner)
        assert repr(app) == "<Scope 'app' open, 1 resource>"
        opening.cancel()
        app_after = app.snapshot()
        assert app_after.children == ()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(opening, 5)
    assert app.snapshot().state == "closed"
    assert repr(app) == "<Scope 'app' closed, 0 resources>"


async def test_an_observer_that_raises_a_cancellation_does_not_break_the_scope(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def observer(event: Event) -> None:
        if event.step is Step.OPENED:
            raise asyncio.CancelledError

    log = Log()
    with observing(observer):
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(Probe(log, "b"), inline=True)
    log.check_all_closed()
    assert len(log.names("closed")) == 2
    assert "observer" in caplog.text


async def test_a_scope_entered_inline_sends_each_event_once() -> None:
    events: list[Event] = []
    with observing(events.append):
        async with Scope("outer") as outer:
            await outer.enter(Scope("inner"), inline=True)
    inner = [event for event in events if event.name == "inner"]
    assert [event.step.value for event in inner] == ["opening", "opened", "closing", "closed"]
    assert {event.kind for event in inner} == {"scope"}


async def test_events_name_the_task_from_the_first_on() -> None:
    events: list[Event] = []
    with observing(events.append):
        async with Scope("outer", parent=None) as scope:
            await scope.enter(Probe(Log(), "a", turns=0), name="db")
    assert {event.task for event in events if event.name == "db"} == {"db"}
