"""The double: what a test lets it do, it does, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from withal import AlreadyEnteredError, Scope, testing
from withal.testing import OutOfStepError, Resource, ResourceState


def state_of(resource: Resource) -> ResourceState:
    """Return its state; a type checker takes an attribute for what it was compared with."""
    return resource.state


async def use(resource: Resource) -> None:
    async with resource:
        pass


async def test_without_further_calls_it_opens_and_closes_immediately() -> None:
    db = Resource("db")
    assert state_of(db) is ResourceState.NEW
    async with db as value:
        assert value is db
        assert state_of(db) is ResourceState.OPEN
    assert state_of(db) is ResourceState.CLOSED
    assert (db.enters, db.exits, db.seen, db.error) == (1, 1, None, None)


async def test_on_hold_it_goes_as_far_as_it_is_let() -> None:
    db = Resource("db", hold=True)
    task = asyncio.create_task(use(db))
    await db.wait_opening()
    assert state_of(db) is ResourceState.OPENING
    db.let_open()
    await db.wait_open()
    await db.wait_closing()
    assert state_of(db) is ResourceState.CLOSING
    assert not task.done()
    db.let_close()
    await db.wait_closed()
    await task
    assert state_of(db) is ResourceState.CLOSED


async def test_hold_can_be_lifted_for_the_steps_to_come() -> None:
    db = Resource("db", hold=True)
    task = asyncio.create_task(use(db))
    await db.wait_opening()
    db.hold = False
    db.let_open()
    await task
    assert state_of(db) is ResourceState.CLOSED


def test_it_takes_the_seconds_that_it_is_given() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        async with Resource(opening=0.5, closing=2):
            times = [loop.time()]
        return [*times, loop.time()]

    assert testing.run(main()) == [0.5, 2.5]


async def test_a_failed_opening_raises_in_the_scope_and_is_not_closed() -> None:
    db, cache = Resource("db", hold=True), Resource("cache")
    async with Scope() as scope:
        opening = asyncio.create_task(scope.enter_all(db, cache))
        await db.wait_opening()
        db.fail_opening(OSError("refused"))
        with pytest.raises(OSError, match="refused"):
            await opening
    assert (db.state, db.exits) == (ResourceState.FAILED, 0)
    assert isinstance(db.error, OSError)
    assert (cache.state, cache.exits) == (ResourceState.CLOSED, 1)
    assert isinstance(cache.seen, OSError)


async def test_a_failed_closing_raises_and_has_seen_the_body() -> None:
    db = Resource("db", hold=True)
    error = ValueError("body")

    async def main() -> None:
        async with Scope() as scope:
            await scope.enter(db)
            raise error

    task = asyncio.create_task(main())
    await db.wait_opening()
    db.let_open()
    await db.wait_closing()
    assert db.seen is error
    db.fail_closing(OSError("not flushed"))
    with pytest.raises(ExceptionGroup) as caught:
        await task
    assert [type(each) for each in caught.value.exceptions] == [ValueError, OSError]
    assert state_of(db) is ResourceState.CLOSED


def test_an_opening_that_is_given_up_can_still_be_let_open_and_is_closed_then() -> None:
    async def main() -> None:
        db = Resource("db", hold=True)
        async with Scope() as scope:
            opening = asyncio.create_task(scope.enter(db))
            await db.wait_opening()
            opening.cancel()
            await asyncio.sleep(0.5)  # within the grace that a scope gives
            db.hold = False
            db.let_open()
            with pytest.raises(asyncio.CancelledError):
                await opening
        assert (db.state, db.exits, db.error) == (ResourceState.CLOSED, 1, None)

    testing.run(main())


def test_stepping_an_opening_that_was_cancelled_is_an_error() -> None:
    async def main() -> None:
        db = Resource("db", hold=True)
        async with Scope(open_grace=0) as scope:
            opening = asyncio.create_task(scope.enter(db))
            await db.wait_opening()
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        assert (db.state, db.exits) == (ResourceState.FAILED, 0)
        assert isinstance(db.error, asyncio.CancelledError)
        with pytest.raises(OutOfStepError, match=r"let_open.*'db', which is failed"):
            db.let_open()

    testing.run(main())


async def test_a_step_and_a_cancellation_in_one_turn_leave_no_error_behind() -> None:
    db = Resource("db", hold=True)
    task = asyncio.create_task(use(db))
    await db.wait_opening()
    db.fail_opening(OSError("refused"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert state_of(db) is ResourceState.FAILED


@pytest.mark.parametrize("wait", ["wait_open", "wait_closing", "wait_closed"])
async def test_waiting_for_an_unreachable_state_raises(wait: str) -> None:
    db = Resource("db", hold=True)
    task = asyncio.create_task(use(db))
    waiting = asyncio.create_task(getattr(db, wait)())
    await db.wait_opening()
    db.fail_opening(OSError("refused"))
    with pytest.raises(OutOfStepError, match=f"{wait}.*will not get there.*refused"):
        await waiting
    with pytest.raises(OSError, match="refused"):
        await task


@pytest.mark.parametrize(
    ("hold", "step", "message"),
    [
        (True, "let_open", "new: it is not opening yet; first await wait_opening"),
        (True, "let_close", "new: it is not closing yet; first await wait_closing"),
        (False, "let_open", "create it with hold=True"),
        (False, "let_close", "create it with hold=True"),
    ],
)
async def test_a_step_too_early_says_what_to_do(hold: bool, step: str, message: str) -> None:
    with pytest.raises(OutOfStepError, match=message) as caught:
        getattr(Resource("db", hold=hold), step)()
    assert (caught.value.resource, caught.value.step, caught.value.state) == ("db", step, "new")


async def test_a_step_is_released_once() -> None:
    db = Resource("db", hold=True)
    task = asyncio.create_task(use(db))
    await db.wait_opening()
    db.let_open()
    with pytest.raises(OutOfStepError, match="already released"):
        db.let_open()
    await db.wait_closing()
    with pytest.raises(OutOfStepError, match="which is closing"):
        db.let_open()
    db.let_close()
    await task


async def test_entering_twice_is_an_error_and_leaves_it_as_it_was() -> None:
    async with Resource("db") as db:
        with pytest.raises(AlreadyEnteredError):
            await use(db)
        assert (db.state, db.enters) == (ResourceState.OPEN, 2)


async def test_exiting_twice_or_too_early_is_an_error() -> None:
    db = Resource("db")
    with pytest.raises(OutOfStepError, match="'db', which is new"):
        await db.__aexit__(None, None, None)
    await use(db)
    with pytest.raises(OutOfStepError, match="'db', which is closed"):
        await db.__aexit__(None, None, None)
    assert db.exits == 3


@pytest.mark.parametrize("times", [{"opening": -1}, {"closing": -0.1}])
def test_negative_times_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"'db'.*zero or more seconds"):
        Resource("db", opening=times.get("opening", 0), closing=times.get("closing", 0))


async def test_it_shows_its_state() -> None:
    assert repr(Resource("db")) == "<Resource 'db' new>"
