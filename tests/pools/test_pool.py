"""Pools, law by law; the laws stand in docs/design.md."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from tests.pools.world import Connection, Plan, World, pause
from tests.support.loop import turns
from withal import CloseTimeoutError, ResourceLostError, Scope, observing, testing
from withal._core.events import Event, Step
from withal.ledger import Ledger
from withal.pools import (
    HeldTooLongWarning,
    Pool,
    PoolClosedError,
    PoolCloseTimeoutError,
    PoolDeadlockError,
    PoolFullError,
    PoolTimeoutError,
)


def world(size: int = 1, *plans: Plan) -> World:
    return World(size, list(plans) or [Plan()])


async def hold(pool: Pool[Connection], until: asyncio.Event | None = None) -> Connection:
    async with pool.acquire() as connection:
        await (asyncio.Event() if until is None else until).wait()
        return connection


def states(world: World) -> list[str]:
    return [each.state for each in world.made]


# Law P1, never more than the size


async def test_p1_what_is_closing_takes_a_place() -> None:
    made = world(1, Plan(close_time=0.01))
    async with Pool(made.connect, size=1) as pool:
        async with pool.acquire() as first:
            pool.discard(first)
        async with pool.acquire() as second:
            assert second is not first
    assert made.violations == []


async def test_p1_as_many_as_the_size_are_used_at_once_and_one_more_waits() -> None:
    made = world(3)
    async with Pool(made.connect, size=3) as pool:
        users = [asyncio.create_task(hold(pool)) for _ in range(4)]
        await turns()
        now = pool.statistics()
        assert (now.held, now.waiting, now.opened) == (3, 1, 3)
        for user in users:
            user.cancel()
        await asyncio.wait(users)


# Law P3, first come, first served


async def test_p3_a_late_cancellation_hands_on_what_was_given() -> None:
    made = world()
    order: list[str] = []

    async def use(pool: Pool[Connection], name: str) -> None:
        async with pool.acquire():
            order.append(name)

    async with Pool(made.connect, size=1) as pool:
        async with pool.acquire():
            tasks = [asyncio.create_task(use(pool, name), name=name) for name in "abc"]
            await turns()
        tasks[0].cancel()  # which has been given it and has not run since
        await asyncio.wait(tasks)
        assert order == ["b", "c"]
        assert pool.statistics().opened == 1


async def test_p3_a_user_that_gives_back_and_asks_again_is_behind_those_that_wait() -> None:
    made = world()
    order: list[str] = []

    async def use(pool: Pool[Connection], name: str) -> None:
        for _ in range(2):
            async with pool.acquire():
                order.append(name)
                await asyncio.sleep(0)

    async with Pool(made.connect, size=1) as pool:
        await asyncio.gather(*(use(pool, name) for name in "abc"))
    assert order == ["a", "b", "c", "a", "b", "c"]


async def test_the_one_used_last_is_given_out_first() -> None:
    made = world(2)
    async with Pool(made.connect, size=2) as pool:
        async with pool.acquire() as first, pool.acquire():
            pass
        async with pool.acquire() as again:
            assert again is first  # which was given back last


# Law P4, nothing is lost


async def test_p4_what_a_cancelled_one_was_opening_goes_to_the_next() -> None:
    may_open = asyncio.Event()
    made = world(1, Plan(may_open=may_open))
    async with Pool(made.connect, size=1) as pool:
        first = asyncio.create_task(hold(pool))
        await turns(2)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        may_open.set()
        async with pool.acquire() as connection:
            assert connection.number == 0
    assert states(made) == ["closed"]


def test_p4_an_opening_that_fails_takes_no_place_and_the_next_is_a_moment_later() -> None:
    async def main() -> None:
        made = world(1, Plan(opens=False), Plan(opens=False), Plan())
        loop = asyncio.get_running_loop()
        async with Pool(made.connect, size=1) as pool:
            for _ in range(2):
                with pytest.raises(Exception, match="open of"):
                    async with pool.acquire():
                        pass
            assert loop.time() == 0.05
            async with pool.acquire():
                assert loop.time() == pytest.approx(0.15)
            assert pool.statistics().failed == 2

    testing.run(main())


def test_p4_when_nothing_is_open_all_that_wait_hear_of_the_failure() -> None:
    async def main() -> None:
        made = world(1, Plan(opens=False, open_time=1))
        async with Pool(made.connect, size=1) as pool:
            users = [asyncio.create_task(hold(pool)) for _ in range(3)]
            await asyncio.wait(users)
            assert {str(user.exception()) for user in users} == {"open of 0"}

    testing.run(main())


def test_p4_while_others_are_in_use_only_the_first_hears_of_a_failure() -> None:
    async def main() -> None:
        made = world(2, Plan(), Plan(opens=False))
        done = asyncio.Event()
        async with Pool(made.connect, size=2) as pool:
            held = asyncio.create_task(hold(pool, done))
            await turns()
            users = [asyncio.create_task(hold(pool, done)) for _ in range(2)]
            await turns()
            assert [user.done() for user in users] == [True, False]
            assert str(users[0].exception()) == "open of 1"
            done.set()
            await asyncio.gather(held, users[1])

    testing.run(main())


# Law P5, each that waits comes to an end


def test_p5_a_timeout_names_the_holders_by_task_and_line() -> None:
    async def main() -> None:
        async with Pool(world().connect, size=1, name="db", acquire_timeout=2) as pool:
            user = asyncio.create_task(hold(pool), name="worker")
            await turns()
            with pytest.raises(PoolTimeoutError) as caught:
                async with pool.acquire():
                    pass
            error = caught.value
            assert isinstance(error, TimeoutError)
            assert [holder.task for holder in error.holders] == ["worker"]
            assert "test_pool.py:" in str(error)
            assert "held by task 'worker' at " in str(error)
            with pytest.raises(PoolTimeoutError, match="within 5 s"):
                async with pool.acquire(timeout=5):
                    pass
            assert pool.statistics().timed_out == 2
            user.cancel()
            with suppress(asyncio.CancelledError):
                await user

    testing.run(main())


def test_p5_a_timeout_has_the_last_failure_of_an_opening_as_its_cause() -> None:
    async def main() -> None:
        made = world(1, Plan(opens=False))
        async with Pool(made.connect, size=1) as pool:
            with pytest.raises(Exception, match="open of 0"):
                async with pool.acquire():
                    pass
            with pytest.raises(PoolTimeoutError) as caught:
                async with pool.acquire(timeout=0.01):  # less than the time until the next opening
                    pass
            assert str(caught.value.__cause__) == "open of 0"

    testing.run(main())


async def test_p5_no_more_than_may_wait() -> None:
    async with Pool(world().connect, size=1, max_waiting=1) as pool:
        users = [asyncio.create_task(hold(pool), name="user 0")]
        await turns()
        users += [asyncio.create_task(hold(pool)) for _ in range(2)]
        await turns()
        assert [user.done() for user in users] == [False, False, True]
        assert isinstance(users[2].exception(), PoolFullError)
        assert "user 0" in str(users[2].exception())
        for user in users:
            user.cancel()
        await asyncio.wait(users)


async def test_p5_with_no_waiting_at_all_openings_are_waited_for() -> None:
    made = world(1, Plan(open_time=0.01))
    async with Pool(made.connect, size=1, max_waiting=0) as pool, pool.acquire():
        task = asyncio.create_task(hold(pool))
        await turns()
        assert isinstance(task.exception(), PoolFullError)


async def test_p5_those_that_wait_hear_of_the_end_of_the_pool() -> None:
    done = asyncio.Event()
    async with Pool(world().connect, size=1) as pool:
        held = asyncio.create_task(hold(pool, done))
        await turns()
        waiting = asyncio.create_task(hold(pool))
        await turns()
        closing = asyncio.create_task(pool.aclose())
        await turns()
        assert isinstance(waiting.exception(), PoolClosedError)
        assert pool.state == "closing"
        with pytest.raises(PoolClosedError, match="closing"):
            await hold(pool)
        done.set()
        await asyncio.gather(held, closing)
    assert pool.state == "closed"
    with pytest.raises(PoolClosedError, match="is closed"):
        await hold(pool)


async def test_p5_the_error_for_a_task_that_would_wait_for_itself_has_both_lines() -> None:
    async with Pool(world(2).connect, size=2, name="db") as pool:
        async with pool.acquire(), pool.acquire():
            with pytest.raises(PoolDeadlockError, match="deadlock: task") as caught:
                async with pool.acquire(timeout=100):
                    pass
        assert len(caught.value.holders) == 2
        assert str(caught.value).count("test_pool.py:") == 3


# Law P6, what was cut off is given to nobody


@pytest.mark.parametrize("how", ["cancelled", "timeout", "exit", "generator"])
async def test_p6_a_use_that_was_cut_off_discards_the_resource(how: str) -> None:
    made = world()

    class Exit(BaseException):
        pass

    async def use(pool: Pool[Connection]) -> None:
        async with pool.acquire():
            if how == "timeout":
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
            if how == "exit":
                raise Exit
            if how == "generator":
                raise GeneratorExit
            await asyncio.Event().wait()

    async with Pool(made.connect, size=1) as pool:
        task = asyncio.create_task(use(pool))
        await turns()
        task.cancel()
        with suppress(asyncio.CancelledError, TimeoutError, Exit, GeneratorExit):
            await task
        assert states(made) == ["closed"]
        async with pool.acquire() as connection:
            assert connection.number == 1
        assert pool.statistics().closed.cancelled == 1


async def test_p6_an_error_does_not_discard_the_resource() -> None:
    made = world()
    async with Pool(made.connect, size=1) as pool:
        with pytest.raises(ValueError, match="planned"):
            async with pool.acquire():
                raise ValueError("planned")
        async with pool.acquire() as connection:
            assert connection.number == 0


async def test_p6_reset_makes_it_good_through_cancellations() -> None:
    made = world()
    resets: list[str] = []

    async def reset(connection: Connection) -> None:
        resets.append("begun")
        await asyncio.sleep(0.01)
        resets.append("done")

    async with Pool(made.connect, size=1, reset=reset) as pool:
        task = asyncio.create_task(hold(pool))
        await turns()
        task.cancel()
        await turns()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert resets == ["begun", "done"]
        async with pool.acquire() as connection:
            assert connection.number == 0


@pytest.mark.parametrize("answer", ["false", "error"])
async def test_p6_what_reset_does_not_make_good_is_closed(answer: str) -> None:
    made = world()

    def reset(connection: Connection) -> bool:
        if answer == "error":
            raise ValueError("planned")
        return False

    async with Pool(made.connect, size=1, reset=reset) as pool:
        if answer == "error":
            with pytest.raises(ValueError, match="planned"):
                async with pool.acquire():
                    pass
        else:
            async with pool.acquire():
                pass
        assert states(made) == ["closed"]
        assert pool.statistics().closed.reset == 1


def test_p6_a_reset_that_never_ends_is_cut_off_and_named() -> None:
    async def main() -> None:
        made = world()

        async def reset(connection: Connection) -> None:
            await asyncio.Event().wait()

        async with Pool(made.connect, size=1, reset=reset, close_timeout=3) as pool:
            with pytest.raises(CloseTimeoutError, match="reset of connect"):
                async with pool.acquire():
                    pass
            assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.5)
            assert states(made) == ["closed"]

    testing.run(main())


# Checks


@pytest.mark.parametrize("answer", ["false", "error"])
async def test_a_check_that_fails_has_the_next_one_tried(answer: str) -> None:
    made = world(2)

    async def check(connection: Connection) -> bool:
        await asyncio.sleep(0)
        if connection.number == 0 and answer == "error":
            raise ConnectionError("gone")
        return connection.number != 0

    async with Pool(made.connect, size=2, check=check) as pool:
        async with pool.acquire(), pool.acquire():
            pass
        async with pool.acquire() as connection:
            assert connection.number == 1
        assert pool.statistics().closed.check == 1


def test_only_what_was_idle_for_long_enough_is_checked() -> None:
    async def main() -> None:
        checked: list[float] = []

        def check(connection: Connection) -> None:
            checked.append(asyncio.get_running_loop().time())

        async with Pool(world().connect, size=1, check=check, check_after=5) as pool:
            for seconds in (0.0, 4.9, 5.0, 5.1):
                await asyncio.sleep(seconds)
                async with pool.acquire():
                    pass
        assert checked == [pytest.approx(9.9), pytest.approx(15.0)]

    testing.run(main())


def test_a_check_that_never_ends_is_named_by_the_timeout_and_cut_off() -> None:
    async def main() -> None:
        made = world()

        async def check(connection: Connection) -> None:
            if connection.number == 0:
                await asyncio.Event().wait()

        async with Pool(made.connect, size=1, check=check, close_timeout=3) as pool:
            async with pool.acquire():
                pass
            with pytest.raises(PoolTimeoutError, match="1 being opened, checked"):
                async with pool.acquire(timeout=1):
                    pass
            async with pool.acquire() as connection:
                assert connection.number == 1
            assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.1)

    testing.run(main())


# Time


def test_idle_ones_are_closed_after_their_time_but_those_kept_warm() -> None:
    async def main() -> None:
        made = world(3)
        async with Pool(made.connect, size=3, warm=1, idle_timeout=10) as pool:
            async with pool.acquire(), pool.acquire(), pool.acquire():
                pass
            await asyncio.sleep(9.9)
            assert pool.statistics().idle == 3
            await asyncio.sleep(0.2)
            assert pool.statistics().idle == 1
            assert pool.statistics().closed.idle == 2

    testing.run(main())


def test_what_is_too_old_is_replaced_where_it_is_to_be_warm() -> None:
    async def main() -> None:
        made = world(1)
        async with Pool(made.connect, size=1, warm=1, max_age=10) as pool:
            await asyncio.sleep(8.9)
            assert states(made) == ["open"]
            await asyncio.sleep(1.2)
            assert states(made) == ["closed", "open"]
            assert pool.statistics().closed.age == 1
            async with pool.acquire():
                await asyncio.sleep(20)
            await turns()
            assert states(made) == ["closed", "closed", "open"]

    testing.run(main())


def test_what_is_too_old_is_closed_in_time_beside_a_younger_one() -> None:
    async def main() -> None:
        made = world(2)
        async with Pool(made.connect, size=2, max_age=10) as pool:
            async with pool.acquire():
                await asyncio.sleep(8)
                async with pool.acquire():
                    pass
            await asyncio.sleep(2.1)
            assert states(made) == ["closed", "open"]
            assert pool.statistics().closed.age == 1

    testing.run(main())


async def test_entering_opens_what_is_to_be_warm_or_fails() -> None:
    made = world(3)
    async with Pool(made.connect, size=3, warm=2) as pool:
        assert pool.statistics().idle == 2
    made = world(3, Plan(open_time=0.01), Plan(opens=False))
    with pytest.raises(Exception, match="open of 1"):
        async with Pool(made.connect, size=3, warm=2):
            pytest.fail("it was entered")
    assert states(made) == ["closed", "failed"]


async def test_a_cancelled_entry_leaves_nothing() -> None:
    may_open = asyncio.Event()
    made = world(2, Plan(may_open=may_open))

    async def enter() -> None:
        async with Pool(made.connect, size=2, warm=2):
            pytest.fail("it was entered")

    task = asyncio.create_task(enter())
    await turns(3)
    task.cancel()
    may_open.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert states(made) == ["closed", "closed"]


# Law P7, closed once, within the deadline


def test_p7_what_is_held_at_the_deadline_is_closed_and_its_holder_named() -> None:
    async def main() -> None:
        made = world(2)
        with pytest.raises(PoolCloseTimeoutError) as caught:
            async with Pool(made.connect, size=2, name="db", close_timeout=3) as pool:
                tasks = [asyncio.create_task(hold(pool), name=f"worker {n}") for n in range(2)]
                await turns()
        assert isinstance(caught.value, CloseTimeoutError)
        assert [holder.task for holder in caught.value.holders] == ["worker 0", "worker 1"]
        assert "test_pool.py:" in str(caught.value)
        assert states(made) == ["closed", "closed"]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert made.violations == []

    testing.run(main())


def test_p7_within_a_scope_the_deadline_is_the_scopes() -> None:
    async def main() -> None:
        made = world()
        loop = asyncio.get_running_loop()
        with pytest.raises(PoolCloseTimeoutError, match="worker"):
            async with Scope("app", close_timeout=2) as scope:
                pool = await scope.enter(Pool(made.connect, size=1, close_timeout=60))
                task = asyncio.create_task(hold(pool), name="worker")
                await turns()
        assert loop.time() <= 2.1
        assert states(made) == ["closed"]
        task.cancel()
        await asyncio.wait([task])

    testing.run(main())


async def test_p7_idle_ones_close_while_held_ones_are_waited_for() -> None:
    made = world(2)
    done = asyncio.Event()
    async with Pool(made.connect, size=2) as pool:
        async with pool.acquire():
            held = asyncio.create_task(hold(pool, done))
            await turns()
        closing = asyncio.create_task(pool.aclose())
        await turns()
        assert states(made) == ["closed", "open"]
        done.set()
        await asyncio.gather(held, closing)
        assert states(made) == ["closed", "closed"]


# Law P8, no error is lost


async def test_p8_an_error_of_closing_reaches_the_user_whose_exit_caused_it() -> None:
    made = world(1, Plan(closes=False), Plan())
    async with Pool(made.connect, size=1) as pool:
        with pytest.raises(ExceptionGroup) as caught:
            async with pool.acquire() as connection:
                pool.discard(connection)
                raise ValueError("the body's")
        assert [str(each) for each in caught.value.exceptions] == ["the body's", "close of 0"]


def test_p8_an_error_that_no_user_was_there_for_is_raised_when_the_pool_closes() -> None:
    async def main() -> None:
        made = world(1, Plan(closes=False))
        with pytest.raises(Exception, match="close of 0"):
            async with Pool(made.connect, size=1, idle_timeout=1) as pool:
                async with pool.acquire():
                    pass
                await asyncio.sleep(2)
                assert states(made) == ["closed"]

    testing.run(main())


async def test_p8_a_cancellation_is_owed_beside_an_error() -> None:
    made = world(1, Plan(closes=False))
    after: list[str] = []

    async def use(pool: Pool[Connection]) -> None:
        try:
            async with pool.acquire():
                await asyncio.Event().wait()
        except Exception as exc:
            after.append(str(exc))
        await asyncio.sleep(1)
        after.append("not reached")

    async with Pool(made.connect, size=1) as pool:
        task = asyncio.create_task(use(pool))
        await turns()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert after == ["close of 0"]


# Law P9, a death is heard


async def test_p9_a_death_in_use_has_the_user_leave_and_is_raised() -> None:
    made = world()
    async with Pool(made.connect, size=1) as pool:
        user = asyncio.create_task(hold(pool))
        await turns()
        assert made.made[0].task is not None
        made.made[0].task.cancel()
        await asyncio.wait([user])
        assert isinstance(user.exception(), ResourceLostError)
        assert states(made) == ["closed"]
        async with pool.acquire() as connection:
            assert connection.number == 1
        assert pool.statistics().closed.lost == 1


async def test_p9_what_has_died_is_not_given_back_by_a_user_that_stays() -> None:
    made = world()

    async def use(pool: Pool[Connection]) -> None:
        async with pool.acquire():
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async with Pool(made.connect, size=1) as pool:
        user = asyncio.create_task(use(pool))
        await turns()
        assert made.made[0].task is not None
        made.made[0].task.cancel()
        await asyncio.wait([user])
        assert isinstance(user.exception(), ResourceLostError)
        assert not user.cancelling()
        async with pool.acquire() as connection:
            assert connection.number == 1


async def test_p9_a_death_does_not_cut_off_a_user_that_is_leaving() -> None:
    made = world()
    left: list[str] = []

    async def use(pool: Pool[Connection]) -> None:
        async with pool.acquire():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                left.append("in good order")

    async with Pool(made.connect, size=1) as pool:
        user = asyncio.create_task(use(pool))
        await turns()
        user.cancel()
        await turns()
        assert made.made[0].task is not None
        made.made[0].task.cancel()
        await asyncio.wait([user])
        assert user.cancelled()
        assert left == ["in good order"]


async def test_p9_a_death_while_idle_is_raised_when_the_pool_closes() -> None:
    made = world()
    with pytest.raises(ResourceLostError):
        async with Pool(made.connect, size=1) as pool:
            async with pool.acquire():
                pass
            assert made.made[0].task is not None
            made.made[0].task.cancel()
            await turns()
            assert states(made) == ["closed"]
            async with pool.acquire() as connection:
                assert connection.number == 1


def test_p9_a_loop_that_shuts_down_closes_all_and_loses_nothing() -> None:
    made = world(2)
    used: list[str] = []

    async def main() -> None:
        async with Pool(made.connect, size=2) as pool:
            async with pool.acquire(), pool.acquire():
                pass

            async def use() -> None:
                async with pool.acquire() as connection:
                    try:
                        await asyncio.Event().wait()
                    finally:
                        await asyncio.sleep(0)
                        used.append(connection.state)

            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)  # type: ignore[union-attr]
            await use()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert used == ["open"]
    assert states(made) == ["closed", "closed"]


# Seeing


async def test_statistics_tell_what_is_and_what_has_been() -> None:
    made = world(2)
    async with Pool(made.connect, size=2, name="db") as pool:
        assert repr(pool) == "<Pool 'db' open: 0 held, 0 idle, 0 waiting, of 2>"
        async with pool.acquire() as connection:
            now = pool.statistics()
            assert (now.open, now.held, now.idle, now.opened, now.acquired) == (1, 1, 0, 1, 1)
            [holder] = pool.holders()
            assert holder.site.startswith(__file__)
            pool.discard(connection)
        now = pool.statistics()
        assert (now.open, now.closed.discarded, now.closed.total) == (0, 1, 1)
        assert now.waits == 1
    assert pool.state == "closed"


def test_a_use_that_takes_too_long_is_warned_of_once_at_its_line() -> None:
    async def main() -> list[warnings.WarningMessage]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async with Pool(world().connect, size=1, held_too_long=5, name="db") as pool:
                async with pool.acquire():
                    await asyncio.sleep(4.9)
                async with pool.acquire():
                    await asyncio.sleep(20)
        return list(caught)

    [warning] = testing.run(main())
    assert warning.category is HeldTooLongWarning
    assert warning.filename == __file__
    assert "pool 'db' is held too long, by task" in str(warning.message)


def test_each_long_use_is_warned_of_where_warnings_are_errors() -> None:
    async def main() -> list[str]:
        heard: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(str(context["exception"])))
        async with Pool(world(2).connect, size=2, held_too_long=5) as pool:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                async with pool.acquire(), pool.acquire():
                    await asyncio.sleep(6)
        return heard

    assert len(testing.run(main())) == 2


async def test_a_waiter_that_was_cancelled_late_is_not_counted_as_a_use() -> None:
    async with Pool(world().connect, size=1) as pool:
        async with pool.acquire():
            waiter = asyncio.create_task(hold(pool))
            await turns()
        waiter.cancel()  # it was served by the release, and has not run since
        await asyncio.wait([waiter])
        now = pool.statistics()
    assert (now.acquired, now.waits) == (1, 1)  # the first has waited for its opening


async def test_all_is_in_the_ledger() -> None:
    ledger = Ledger()
    with observing(ledger):
        async with Scope("app") as scope:
            pool = await scope.enter(Pool(world().connect, size=1, name="db"))
            async with pool.acquire():
                names = [(each.kind, each.scope) for each in ledger.open()]
                assert names == [
                    ("scope", ()),
                    ("scope", ("app",)),
                    ("acquisition", ("app", "db")),
                    ("Connection", ("app", "db")),
                ]
                assert ledger.leaked() == ()
            await scope.enter(pool.acquire())
            assert [each.kind for each in ledger.open()].count("acquisition") == 1
    assert str(ledger.summary()) == "5 opened, 5 closed, 0 leaked"


async def test_what_is_not_served_has_failed_in_the_events() -> None:
    steps: list[Step] = []

    def observe(event: Event) -> None:
        if event.kind == "acquisition":
            steps.append(event.step)

    with observing(observe):
        async with Pool(world(1, Plan(opens=False)).connect, size=1) as pool:
            with pytest.raises(Exception, match="open of"):
                async with pool.acquire():
                    pass
    assert steps == [Step.OPENING, Step.FAILED]


# What may be pooled


async def test_synchronous_managers_are_pooled_without_a_task() -> None:
    log: list[str] = []

    @contextmanager
    def connect() -> Any:
        log.append("open")
        yield "connection"
        log.append("close")

    async with Pool[str](connect, size=1) as pool:
        before = len(asyncio.all_tasks())
        async with pool.acquire() as value:
            assert value == "connection"
            assert len(asyncio.all_tasks()) == before
        async with pool.acquire() as value:
            pass
    assert log == ["open", "close"]


async def test_of_equal_values_the_callers_own_is_discarded() -> None:
    @asynccontextmanager
    async def connect() -> AsyncIterator[None]:
        yield None

    async with Pool(connect, size=2) as pool:
        done = asyncio.Event()

        async def other() -> None:
            async with pool.acquire():
                await done.wait()

        async with pool.acquire() as value:
            task = asyncio.create_task(other())
            await turns()
            pool.discard(value)
        assert pool.statistics().held == 1
        assert pool.statistics().closed.discarded == 1
        done.set()
        await task


async def test_a_manager_sees_what_its_last_use_ended_by() -> None:
    seen: list[BaseException] = []

    @asynccontextmanager
    async def connect() -> AsyncIterator[None]:
        try:
            yield None
        except BaseException as exc:
            seen.append(exc)
            # It swallows the exception, which is not its own to swallow.

    async with Pool(connect, size=1) as pool:
        with pytest.raises(GeneratorExit):
            async with pool.acquire():
                raise GeneratorExit
    assert [type(each) for each in seen] == [GeneratorExit]


async def test_a_pool_may_be_declared_and_opened_with_a_scope() -> None:
    from withal import resource

    made = world()

    @resource
    def database() -> Pool[Connection]:
        return Pool(made.connect, size=1)

    async with Scope("app") as scope:
        pool = await scope.open(database)
        connection = await scope.enter(pool.acquire())
        assert connection.state == "open"
        await scope.release(connection)
        assert pool.statistics().idle == 1
    assert states(made) == ["closed"]


def test_many_are_served_without_a_waiter_for_each_in_memory() -> None:
    async def main() -> int:
        made = world(10)
        async with Pool(made.connect, size=10) as pool:

            async def use() -> None:
                async with pool.acquire():
                    await pause(1)

            await asyncio.gather(*(use() for _ in range(1000)))
            assert pool.statistics().acquired == 1000
            assert len(made.made) == 10
        return int(asyncio.get_running_loop().time())

    assert testing.run(main()) == 100
