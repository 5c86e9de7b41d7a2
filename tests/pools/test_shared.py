"""`Shared`, `Keyed` and `Reloadable`: what many use at once. The laws stand in docs/design.md."""

from __future__ import annotations

import asyncio
import os
import traceback
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import pytest

from tests.pools.world import Connection, Plan, PlannedError, World
from tests.support.loop import turns
from withal import ResourceLostError, Scope, ScopeClosedError, observing, resource, testing
from withal.ledger import Ledger
from withal.pools import (
    HeldTooLongWarning,
    Keyed,
    PoolClosedError,
    PoolCloseTimeoutError,
    Reloadable,
    Shared,
)


def world(*plans: Plan) -> World:
    return World(1, list(plans) or [Plan()])


async def hold(shared: Any, until: asyncio.Event | None = None) -> Connection:
    async with shared as connection:
        await (asyncio.Event() if until is None else until).wait()
        found: Connection = connection
        return found


def states(world: World) -> list[str]:
    return [each.state for each in world.made]


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


# Law S1, opened by the first, closed after the last


async def test_s1_all_share_one_and_the_last_closes_it() -> None:
    made = world(Plan(open_time=0.001))
    shared = Shared(made.connect, name="settings")
    done = asyncio.Event()
    users = [asyncio.create_task(hold(shared, done)) for _ in range(3)]
    while shared.state != "open":
        await asyncio.sleep(0)
    assert repr(shared) == "<Shared 'settings' open, 3 in use>"
    done.set()
    assert [each.number for each in await asyncio.gather(*users)] == [0, 0, 0]
    assert states(made) == ["closed"]
    assert shared.state == "empty"
    async with shared as again:
        assert again.number == 1
    assert made.violations == []


def test_s1_it_lingers_and_is_used_again() -> None:
    async def main() -> None:
        made = world()
        shared = Shared(made.connect, linger=30)
        async with shared:
            pass
        await asyncio.sleep(29)
        async with shared as connection:
            assert connection.number == 0
            await asyncio.sleep(60)
        await asyncio.sleep(29)
        assert states(made) == ["open"]
        await asyncio.sleep(2)
        assert states(made) == ["closed"]

    testing.run(main())


async def test_s1_a_user_that_comes_while_it_closes_gets_a_new_one() -> None:
    may_close = asyncio.Event()
    made = world(Plan(may_close=may_close))
    shared = Shared(made.connect)
    first = asyncio.create_task(hold(shared))
    await turns()
    first.cancel()
    await turns(3)
    assert shared.state == "closing"
    asyncio.get_running_loop().call_later(0.01, may_close.set)
    async with shared as connection:
        assert connection.number == 1
        assert states(made) == ["closed", "open"]
    await asyncio.wait([first])
    assert made.violations == []


async def test_s1_it_may_be_entered_again_by_the_same_task() -> None:
    made = world()
    shared = Shared(made.connect)
    async with shared as one, shared as other:
        assert one is other
        assert len(shared.holders()) == 2
    assert states(made) == ["closed"]


def test_s1_it_closes_when_the_loop_ends_and_opens_in_the_next() -> None:
    made = world()
    shared = Shared(made.connect, linger=None)

    async def main() -> Connection:
        async with shared as connection:
            return connection

    first = asyncio.run(main())
    assert first.state == "closed"
    assert asyncio.run(main()) is not first
    assert states(made) == ["closed", "closed"]


def test_s1_a_loop_that_ends_lets_the_users_leave_first() -> None:
    made = world()
    shared = Shared(made.connect)
    seen: list[str] = []

    async def use() -> None:
        async with shared as connection:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                seen.append(connection.state)

    async def main() -> None:
        main.task = asyncio.create_task(use())  # type: ignore[attr-defined]  # held until the end
        await turns()

    asyncio.run(main())
    assert seen == ["open"]
    assert states(made) == ["closed"]


def test_s1_a_loop_that_was_closed_with_it_open_leaves_nothing_to_the_next() -> None:
    made = World(10, [Plan()])
    shared = Shared(made.connect, linger=None)
    sessions: Keyed[str, Connection] = Keyed(lambda _: made.connect(), linger=None)
    model = Reloadable(made.connect)

    async def main() -> list[int]:
        async with shared as one, sessions("key") as two, model as three:
            return [one.number, two.number, three.number]

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(main()) == [0, 1, 2]
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()  # which asyncio.run does not do before it has cancelled all tasks
    assert asyncio.run(main()) == [3, 4, 5]
    assert states(made)[3:] == ["closed"] * 3


# Law S2, a cancellation concerns no other user


async def test_s2_the_first_is_cancelled_and_the_others_do_not_notice() -> None:
    made = world(Plan(open_time=0.01))
    shared = Shared(made.connect)
    done = asyncio.Event()
    users = [asyncio.create_task(hold(shared, done)) for _ in range(3)]
    await turns()
    await cancelled(users[0])
    done.set()
    assert [each.number for each in await asyncio.gather(*users[1:])] == [0, 0]
    assert states(made) == ["closed"]


async def test_s2_when_all_are_cancelled_it_closes_as_soon_as_it_has_opened() -> None:
    may_open = asyncio.Event()
    made = world(Plan(may_open=may_open))
    shared = Shared(made.connect)
    users = [asyncio.create_task(hold(shared)) for _ in range(3)]
    await turns()
    await cancelled(*users)
    assert states(made) == ["opening"]
    may_open.set()
    while shared.state != "empty":
        await asyncio.sleep(0)
    assert states(made) == ["closed"]


async def test_s2_one_that_is_cancelled_late_leaves() -> None:
    made = world(Plan(open_time=0.0))
    shared = Shared(made.connect)
    user = asyncio.create_task(hold(shared))
    while shared.state != "open":
        await asyncio.sleep(0)
    user.cancel()  # which has been let in, and has not run since
    await asyncio.wait([user])
    await turns()
    assert states(made) == ["closed"]


# Law S3, a failure reaches all that wait


async def test_s3_all_that_wait_fail_and_the_next_tries_again() -> None:
    made = world(Plan(open_time=0.01, opens=False), Plan())
    shared = Shared(made.connect)
    users = [asyncio.create_task(hold(shared)) for _ in range(3)]
    await asyncio.wait(users)
    assert {str(user.exception()) for user in users} == {"open of 0"}
    async with shared as connection:
        assert connection.number == 1


async def test_s3_the_error_of_each_that_waits_shows_its_own_way_only() -> None:
    shared = Shared(world(Plan(open_time=0.001, opens=False)).connect)
    users = [asyncio.create_task(hold(shared)) for _ in range(20)]
    *_, error = await asyncio.gather(*users, return_exceptions=True)
    assert isinstance(error, PlannedError)
    lines = traceback.extract_tb(error.__traceback__)
    assert [line.name for line in lines].count("hold") == 1


async def test_s3_the_last_user_hears_that_closing_has_failed() -> None:
    shared = Shared(world(Plan(closes=False)).connect)
    with pytest.raises(Exception, match="close of 0"):
        async with shared:
            pass


async def test_s3_in_a_scope_an_error_that_no_user_got_is_raised_by_the_scope() -> None:
    made = world(Plan(closes=False))
    with pytest.raises(Exception, match="close of 0"):
        async with Scope("app") as scope:
            async with Shared(made.connect, linger=60, scope=scope):
                pass
            assert states(made) == ["open"]


def test_s3_without_a_scope_the_loop_hears_of_it() -> None:
    made = world(Plan(closes=False))
    heard: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(context))
        async with Shared(made.connect, linger=1, name="settings"):
            pass
        await asyncio.sleep(2)

    testing.run(main())
    assert [context["message"] for context in heard] == [
        "'settings' has failed, and no user is left to raise the error"
    ]
    assert str(heard[0]["exception"]) == "close of 0"


async def test_s3_a_death_has_all_leave() -> None:
    made = world()
    shared = Shared(made.connect)
    users = [asyncio.create_task(hold(shared)) for _ in range(3)]
    await turns()
    assert made.made[0].task is not None
    made.made[0].task.cancel()
    await asyncio.wait(users)
    assert all(isinstance(user.exception(), ResourceLostError) for user in users)
    assert states(made) == ["closed"]
    async with shared as connection:
        assert connection.number == 1


# Law S4, with a scope


async def test_s4_it_has_its_place_in_the_order_of_the_scope() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def named(name: str) -> AsyncIterator[str]:
        yield name
        log.append(name)

    async with Scope("app") as scope:
        await scope.enter(named("before"))
        shared = Shared(lambda: named("shared"), linger=None, scope=scope)
        await scope.enter(named("after"))
        async with shared:
            pass
    assert log == ["after", "shared", "before"]
    with pytest.raises(PoolClosedError, match="is closed"):
        await hold(shared)


def test_s4_those_that_use_it_at_the_deadline_are_named() -> None:
    async def main() -> None:
        made = world()
        with pytest.raises(PoolCloseTimeoutError, match="worker"):
            async with Scope("app", close_timeout=2) as scope:
                shared = Shared(made.connect, scope=scope)
                user = asyncio.create_task(hold(shared), name="worker")
                await turns()
        assert states(made) == ["closed"]
        await cancelled(user)

    testing.run(main())


async def test_s4_a_scope_that_is_not_open_yet_is_joined_at_the_first_use() -> None:
    made = world()
    scope = Scope("app")
    shared = Shared(made.connect, linger=None, scope=scope)
    with pytest.raises(ScopeClosedError, match="not open yet"):
        await hold(shared)
    async with scope:
        async with shared:
            pass
        assert states(made) == ["open"]
    assert states(made) == ["closed"]


async def test_s4_the_scope_waits_for_its_users() -> None:
    made = world(Plan(open_time=0.01))
    done = asyncio.Event()
    async with Scope("app") as scope:
        shared = Shared(made.connect, scope=scope)
        user = asyncio.create_task(hold(shared, done))
        await asyncio.sleep(0.03)
        asyncio.get_running_loop().call_later(0.01, done.set)
    assert user.done()
    assert (await user).number == 0


async def test_s4_those_that_wait_when_it_closes_are_turned_away() -> None:
    may_open = asyncio.Event()
    made = world(Plan(may_open=may_open))
    async with Scope("app") as scope:
        shared = Shared(made.connect, scope=scope)
        user = asyncio.create_task(hold(shared))
        user.add_done_callback(lambda _: may_open.set())
        await turns()
    assert isinstance(user.exception(), PoolClosedError)
    assert states(made) == ["closed"]


async def test_it_may_be_declared() -> None:
    made = world()

    @resource
    def settings() -> Shared[Connection]:
        return Shared(made.connect)

    async with Scope("app") as scope:
        value = await scope.open(settings)
        assert value.state == "open"
    assert states(made) == ["closed"]


async def test_without_a_scope_the_context_is_that_of_its_making() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")

    @asynccontextmanager
    async def load() -> AsyncIterator[str]:
        yield user.get()

    shared = Shared(load)
    user.set("ann")
    async with shared as value:
        assert value == "nobody"


async def test_it_is_in_the_ledger_and_no_leak() -> None:
    ledger = Ledger()
    with observing(ledger):
        async with Shared(world().connect):
            assert [each.kind for each in ledger.open()] == ["Connection"]
            assert ledger.leaked() == ()
    assert str(ledger.summary()) == "1 opened, 1 closed, 0 leaked"


async def test_holders_are_named_by_task_and_line() -> None:
    shared = Shared(world().connect)
    user = asyncio.create_task(hold(shared), name="worker")
    await turns()
    [holder] = shared.holders()
    assert holder.task == "worker"
    assert holder.site.startswith(__file__)
    await cancelled(user)


async def test_synchronous_managers_are_shared() -> None:
    @contextmanager
    def load() -> Any:
        yield 1

    async with Shared[int](load) as value:
        assert value == 1


async def test_another_loop_is_refused_while_it_is_open() -> None:
    shared = Shared(world().connect, name="settings")

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="'settings' belongs to another event loop"):
            await hold(shared)

    async with shared:
        await asyncio.to_thread(asyncio.run, elsewhere())
    with pytest.raises(RuntimeError, match="exited without having been entered"):
        await shared.__aexit__(None, None, None)


@pytest.mark.filterwarnings("ignore:This process")
async def test_a_forked_process_is_refused_while_it_is_open() -> None:
    shared = Shared(world().connect, name="settings")
    async with shared:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                shared.__aenter__().send(None)
            except RuntimeError as exc:
                os.write(writing, str(exc).encode())
            finally:
                os._exit(0)
        os.close(writing)
        said = os.read(reading, 10_000).decode()
        os.close(reading)
        os.waitpid(child, 0)
        assert "'settings' was opened before a fork" in said


@pytest.mark.parametrize("make", [Shared, Keyed, Reloadable])
def test_what_they_cannot_be(make: Callable[..., Any]) -> None:
    made = world()
    for bad in (5, made, asynccontextmanager(_nothing)()):
        with pytest.raises(
            TypeError, match="open must be a function that returns a context manager"
        ):
            make(bad)
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="linger must be zero or more seconds"):
            make(made.connect, linger=seconds)
    with pytest.raises(TypeError, match="linger must be a number of seconds"):
        make(made.connect, linger="1")
    with pytest.raises(ValueError, match="close_timeout"):
        make(made.connect, close_timeout=-1)
    with pytest.raises(TypeError, match="scope must be a Scope or None, got 'app'"):
        make(made.connect, scope="app")
    with pytest.raises(TypeError, match="name must be a str or None, got 5"):
        make(made.connect, name=5)


async def _nothing() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("open_", [lambda *_: 5, lambda *_: world().connect])
async def test_what_open_returns_is_to_be_a_manager(open_: Any) -> None:
    for shared in (Shared(open_), Keyed(open_)(1), Reloadable(open_)):
        with pytest.raises(TypeError, match="expected a context manager"):
            await hold(shared)


# Keyed


def keyed(world: World, **options: Any) -> Keyed[str, Connection]:
    def connect(key: str) -> Connection:
        connection = world.connect()
        connection.user = key
        return connection

    return Keyed(connect, **options)


async def test_each_key_has_its_own() -> None:
    made = World(2, [Plan()])
    sessions = keyed(made, name="sessions")
    async with sessions("ann") as ann, sessions("bob") as bob, sessions("ann") as again:
        assert ann is again
        assert (ann.user, bob.user) == ("ann", "bob")
        assert sessions.keys() == ("ann", "bob")
        assert repr(sessions) == "<Keyed 'sessions': 2 open, 3 in use>"
        assert len(sessions.holders()) == 3
    assert states(made) == ["closed", "closed"]
    assert len(sessions) == 0
    assert sessions.keys() == ()


def test_the_one_used_longest_ago_is_closed_beyond_the_limit() -> None:
    async def main() -> None:
        made = World(10, [Plan()])
        sessions = keyed(made, linger=60, limit=2)
        for key in ("ann", "bob", "ann", "cyd"):
            async with sessions(key):
                pass
            await turns()
        assert sessions.keys() == ("ann", "cyd")
        assert [each.user for each in made.made if each.state == "closed"] == ["bob"]
        await asyncio.sleep(61)
        assert len(sessions) == 0

    testing.run(main())


async def test_one_that_is_in_use_is_not_closed_for_the_limit() -> None:
    made = World(3, [Plan()])
    async with Scope("app") as scope:
        sessions = keyed(made, linger=60, limit=1, scope=scope)
        async with sessions("ann") as ann, sessions("bob") as bob, sessions("cyd"):
            assert (ann.state, bob.state) == ("open", "open")
            assert len(sessions) == 3
        await turns()
        assert len(sessions) == 1
        async with sessions("ann"):
            assert len(made.made) == 3


async def test_a_key_is_hashable_and_a_use_is_entered_once() -> None:
    sessions = keyed(world())
    with pytest.raises(TypeError, match="unhashable"):
        sessions([])  # type: ignore[arg-type]
    use = sessions("ann")
    async with use:
        with pytest.raises(Exception, match="has been entered before"):
            await use.__aenter__()
    with pytest.raises(RuntimeError, match="exited without having been entered"):
        await use.__aexit__(None, None, None)
    for limit in (0, -1):
        with pytest.raises(ValueError, match="limit must be one or more"):
            keyed(world(), limit=limit)
    with pytest.raises(TypeError, match="limit must be an int"):
        keyed(world(), limit=1.5)


async def test_a_failure_concerns_its_key_only() -> None:
    made = World(3, [Plan(opens=False), Plan(), Plan()])
    sessions = keyed(made)
    with pytest.raises(Exception, match="open of 0"):
        await hold(sessions("ann"))
    assert sessions.keys() == ()
    async with sessions("bob"), sessions("ann"):
        pass


async def test_keyed_closes_with_its_scope() -> None:
    made = World(3, [Plan()])
    async with Scope("app") as scope:
        sessions = keyed(made, linger=None, scope=scope)
        for key in "ann", "bob":
            async with sessions(key):
                pass
    assert states(made) == ["closed", "closed"]
    with pytest.raises(PoolClosedError):
        await hold(sessions("cyd"))


# Reloadable


async def test_new_users_get_the_new_one_and_old_ones_finish() -> None:
    made = World(2, [Plan()])
    async with Scope("app") as scope:
        model = Reloadable(made.connect, name="model", scope=scope)
        async with model as old:
            assert model.generation == 1
            async with model:
                await model.reload()
                assert model.generation == 2
                async with model as new:
                    assert (old.number, new.number) == (0, 1)
                    assert states(made) == ["open", "open"]
            assert repr(model) == "<Reloadable 'model': generation 2, 2 open, 1 in use>"
        assert states(made) == ["closed", "open"]
    assert states(made) == ["closed", "closed"]


def test_the_newest_stays_until_the_loop_ends() -> None:
    made = World(2, [Plan()])
    model = Reloadable(made.connect)

    async def main() -> None:
        async with model:
            pass
        await model.reload()
        await turns()
        assert states(made) == ["closed", "open"]

    asyncio.run(main())
    assert states(made) == ["closed", "closed"]


async def test_when_the_new_one_fails_the_old_one_stays() -> None:
    made = World(2, [Plan(), Plan(opens=False), Plan()])
    async with Scope("app") as scope:
        model = Reloadable(made.connect, scope=scope)
        async with model:
            pass
        with pytest.raises(Exception, match="open of 1"):
            await model.reload()
        async with model as value:
            assert value.number == 0
        assert model.generation == 1
        await model.reload()
        async with model as value:
            assert value.number == 2


async def test_concurrent_reloads_are_one() -> None:
    made = World(2, [Plan(), Plan(open_time=0.01), Plan()])
    async with Scope("app") as scope:
        model = Reloadable(made.connect, scope=scope)
        async with model:
            reloads = [asyncio.create_task(model.reload()) for _ in range(3)]
            await turns()
            await cancelled(reloads[0])
            await asyncio.gather(*reloads[1:])
            assert model.generation == 2
            assert len(made.made) == 2


async def test_a_reload_whose_callers_are_cancelled_goes_on() -> None:
    may_open = asyncio.Event()
    made = World(2, [Plan(), Plan(may_open=may_open)])
    async with Scope("app") as scope:
        model = Reloadable(made.connect, scope=scope)
        async with model:
            reload = asyncio.create_task(model.reload())
            await turns()
            await cancelled(reload)
            assert model.generation == 1
            may_open.set()
            while model.generation != 2:
                await asyncio.sleep(0)


def test_at_the_drain_timeout_the_old_one_is_closed_and_its_users_named() -> None:
    async def main() -> list[warnings.WarningMessage]:
        made = World(2, [Plan()])
        model = Reloadable(made.connect, drain_timeout=5, name="model")
        user = asyncio.create_task(hold(model), name="worker")
        await turns()
        await model.reload()
        await asyncio.sleep(4.9)
        assert states(made) == ["open", "open"]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await asyncio.sleep(0.2)
        assert states(made) == ["closed", "open"]
        await cancelled(user)
        return list(caught)

    [warning] = testing.run(main())
    assert warning.category is HeldTooLongWarning
    assert "closed while it is used by task 'worker'" in str(warning.message)
    assert warning.filename == __file__


async def test_reload_opens_the_first_one_too() -> None:
    made = world()
    async with Scope("app") as scope:
        model = Reloadable(made.connect, scope=scope)
        await model.reload()
        assert model.generation == 1
        async with model as value:
            assert value.number == 0
    with pytest.raises(PoolClosedError):
        await model.reload()
    with suppress(PoolClosedError):
        await hold(model)


def test_the_drain_timeout_holds_for_an_old_one_that_opens_late() -> None:
    async def main() -> None:
        made = World(2, [Plan(open_time=3), Plan()])
        model = Reloadable(made.connect, drain_timeout=5)
        user = asyncio.create_task(hold(model))
        await turns()
        await model.reload()
        assert states(made) == ["opening", "open"]
        await asyncio.sleep(7.9)
        assert states(made) == ["open", "open"]
        with pytest.warns(HeldTooLongWarning, match="closed while it is used by"):
            await asyncio.sleep(0.2)
        assert states(made) == ["closed", "open"]
        await cancelled(user)

    testing.run(main())


def test_an_old_one_that_is_opened_again_for_those_that_wait_does_not_linger() -> None:
    async def main() -> None:
        made = World(3, [Plan(close_time=3)])
        model = Reloadable(made.connect, linger=100)
        async with model:
            pass
        await asyncio.sleep(101)
        assert states(made) == ["closing"]
        done = asyncio.Event()
        user = asyncio.create_task(hold(model, done))
        await turns()
        await model.reload()
        await asyncio.sleep(3)
        assert states(made) == ["closed", "open", "open"]
        done.set()
        await user
        assert states(made) == ["closed", "open", "closed"]

    testing.run(main())


def test_the_old_one_is_closed_where_warnings_are_errors() -> None:
    async def main() -> None:
        made = World(2, [Plan()])
        model = Reloadable(made.connect, drain_timeout=5)
        user = asyncio.create_task(hold(model))
        await turns()
        await model.reload()
        heard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await asyncio.sleep(5.1)
        assert [type(context["exception"]) for context in heard] == [HeldTooLongWarning]
        assert states(made) == ["closed", "open"]
        await cancelled(user)

    testing.run(main())
