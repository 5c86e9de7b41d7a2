"""Declared resources: planned, opened side by side as far as they may, closed the other way."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import Any

import pytest

from tests.laws.probes import Log, Probe, failing, forever, stubborn_until
from tests.support.loop import turns
from withal import (
    AlreadyOpenError,
    CloseTimeoutError,
    Declaration,
    DeclarationError,
    DependencyCycleError,
    NotOpenError,
    Scope,
    ScopeClosedError,
    StillNeededError,
    needs,
    resource,
    testing,
)
from withal._core.declared import wait_graph as waiting

HERE = re.escape(__file__)


def declare(log: Log, name: str, *needed: Declaration[Any], **options: Any) -> Declaration[str]:
    """Declare a resource that writes down what happens to it, and needs these."""

    async def function(**values: str) -> AsyncGenerator[str]:
        async with Probe(log, name, **options):
            yield f"{name}({', '.join(values.values())})"

    function.__name__ = name
    declaration = resource(function)
    declaration.needs.update({f"p{number}": each for number, each in enumerate(needed)})
    return declaration


async def test_a_resource_and_what_it_needs_opens_in_order_and_closes_in_reverse() -> None:
    log = Log()
    settings = declare(log, "settings")
    database = declare(log, "database", settings)
    cache = declare(log, "cache", settings)
    app = declare(log, "app", database, cache)
    async with Scope() as scope:
        assert await scope.open(app) == "app(database(settings()), cache(settings()))"
        assert log.index("opening", "cache") < log.index("opened", "database")
    log.check_all_closed()
    for later, earlier in (
        ("app", "database"),
        ("app", "cache"),
        ("database", "settings"),
        ("cache", "settings"),
    ):
        log.check_closed_before(later, earlier)
    assert log.index("closing", "cache") < log.index("closed", "database")


async def test_several_values_come_in_the_order_asked_for() -> None:
    log = Log()
    a, b = declare(log, "a"), declare(log, "b")
    async with Scope() as scope:
        assert await scope.open(b, a) == ("b()", "a()")
        assert await scope.open() == ()


async def test_what_is_open_is_used_again_here_and_in_scopes_within() -> None:
    log = Log()
    settings = declare(log, "settings")
    database = declare(log, "database", settings)
    async with Scope("app") as app:
        await app.open(settings)
        async with Scope("request") as request:
            await request.open(database)
            assert str(request.plan(database)) == "database (open)"
            assert await request.open(settings) == "settings()"
        assert log.names("closed") == ["database"]
        assert app.plan(database).names == ("database",)
    assert log.names("opened") == ["settings", "database"]


async def test_two_tasks_that_ask_at_once_open_it_once() -> None:
    log = Log()
    settings = declare(log, "settings", turns=6)
    users = [declare(log, f"user{number}", settings) for number in range(3)]
    async with Scope() as scope:
        values = await asyncio.gather(*[scope.open(user) for user in users])
        assert values == ["user0(settings())", "user1(settings())", "user2(settings())"]
    assert log.names("opened").count("settings") == 1


async def test_a_task_that_waited_for_an_opening_that_failed_tries_itself() -> None:
    log = Log()
    attempts = 0

    @resource
    async def flaky() -> AsyncGenerator[int]:
        nonlocal attempts
        attempts += 1
        await turns(3)
        if attempts == 1:
            raise OSError("refused")
        yield attempts

    async with Scope() as scope:
        results = await asyncio.gather(scope.open(flaky), scope.open(flaky), return_exceptions=True)
    assert [type(result) for result in results] == [OSError, int]
    del log


async def test_one_that_fails_closes_the_rest_in_order_and_starts_no_user_of_it() -> None:
    log = Log()
    settings = declare(log, "settings")
    database = declare(log, "database", settings)
    cache = declare(log, "cache", settings, turns=6, opening=failing(OSError("refused")))
    app = declare(log, "app", database, cache)
    async with Scope() as scope:
        with pytest.raises(OSError, match="refused"):
            await scope.open(app)
        log.check_all_closed()
        assert log.names("closed") == ["database", "settings"]
        assert "app" not in log.names("opening")
        assert scope.snapshot().resources == ()
        assert await scope.open(settings) == "settings()"


async def test_cancelled_at_any_turn_it_leaves_nothing_open() -> None:
    from tests.support.cancel import run_cancelled_at

    async def main(log: Log) -> None:
        settings = declare(log, "settings")
        database = declare(log, "database", settings)
        cache = declare(log, "cache", settings, turns=1)
        async with Scope() as scope:
            await scope.open(declare(log, "app", database, cache))
            await turns(1)

    whole = await run_cancelled_at(lambda: main(Log()))
    for turn in range(whole.turns + 1):
        log = Log()
        run = await run_cancelled_at(lambda log=log: main(log), turn)  # type: ignore[misc]
        log.check_all_closed()
        for later, earlier in (("app", "cache"), ("app", "database"), ("cache", "settings")):
            log.check_closed_before(later, earlier)
        assert run.task.cancelled() == bool(run.accepted)


def test_a_diamond_three_deep_takes_three_times_one_of_it() -> None:
    async def slow(name: str, *needed: Declaration[Any]) -> Declaration[str]:
        def sleep() -> Any:
            return asyncio.sleep(0.1)

        return declare(Log(), name, *needed, opening=sleep, closing=sleep)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        bottom = await slow("settings")
        left, right = await slow("database", bottom), await slow("cache", bottom)
        scope = Scope()
        await scope.__aenter__()
        await scope.open(await slow("app", left, right))
        assert loop.time() == pytest.approx(0.3)
        path = scope.snapshot().critical_path
        assert path is not None
        assert str(path) in ("0.30 s: settings > database > app", "0.30 s: settings > cache > app")
        await scope.__aexit__(None, None, None)
        assert loop.time() == pytest.approx(0.6)

    testing.run(main())


def test_1000_independent_resources_open_as_fast_as_one() -> None:
    async def main() -> None:
        many = [declare(Log(), str(n), opening=lambda: asyncio.sleep(0.05)) for n in range(1000)]
        async with Scope() as scope:
            await scope.open(*many)
            assert asyncio.get_running_loop().time() == pytest.approx(0.05)

    testing.run(main())


async def test_the_critical_path_goes_through_what_was_waited_for() -> None:
    log = Log()
    fast, slow = declare(log, "fast"), declare(log, "slow", turns=9)
    app = declare(log, "app", fast, slow)
    async with Scope() as scope:
        assert scope.snapshot().critical_path is None
        await scope.open(app)
        path = scope.snapshot().critical_path
    assert path is not None
    assert path.names == ("slow", "app")


async def test_an_override_is_opened_with_what_it_needs_and_the_real_one_is_not() -> None:
    log = Log()
    settings = declare(log, "settings")
    database = declare(log, "database", settings)
    app = declare(log, "app", database)
    files = declare(log, "files")
    fake = declare(log, "fake", files)
    async with Scope() as scope:
        scope.override(database, fake)
        assert str(scope.plan(app)) == "app\n└─ fake\n   └─ files"
        async with Scope("within") as within:
            assert await within.open(app) == "app(fake(files()))"
    assert sorted(log.names("opened")) == ["app", "fake", "files"]


async def test_the_nearest_override_counts() -> None:
    log = Log()
    real, one, two = declare(log, "real"), declare(log, "one"), declare(log, "two")
    async with Scope() as outer, Scope() as inner:
        outer.override(real, one)
        inner.override(real, two)
        assert await inner.open(real) == "two()"
        assert await outer.open(real) == "one()"


async def test_overriding_what_is_open_is_too_late() -> None:
    log = Log()
    settings, fake = declare(log, "settings"), declare(log, "fake")
    async with Scope("app") as scope:
        value = await scope.open(settings)
        with pytest.raises(AlreadyOpenError, match=f"'settings' .{HERE}:\\d+.: .*scope 'app'"):
            scope.override(settings, fake)
        async with Scope() as within:
            with pytest.raises(AlreadyOpenError):
                within.override(settings, fake)
        await scope.release(value)
        scope.override(settings, fake)
        assert await scope.open(settings) == "fake()"


async def test_a_circle_is_drawn() -> None:
    log = Log()
    a = declare(log, "a")
    b = declare(log, "b", a)
    c = declare(log, "c", b)
    async with Scope() as scope:
        scope.override(a, c)
        with pytest.raises(DependencyCycleError, match=r"c \(.*\) > b \(.*\) > c \(") as caught:
            await scope.open(c)
        assert caught.value.path == ("c", "b", "c")
        other = Scope()
        async with other:
            other.override(a, b)
            other.override(b, a)
            other.override(c, a)
            for asked in (a, c):  # c is outside of the circle
                with pytest.raises(DependencyCycleError) as caught:
                    other.plan(asked)
                assert set(caught.value.path) == {"a", "b"}
                assert caught.value.path[0] == caught.value.path[-1]
    assert log.steps == []


async def test_a_needed_resource_cannot_be_released_before_its_users() -> None:
    log = Log()
    settings = declare(log, "settings")
    database = declare(log, "database", settings)
    async with Scope() as scope:
        value = await scope.open(database)
        with pytest.raises(StillNeededError, match="needed by 'database'"):
            await scope.release(scope_value(scope, "settings"))
        await scope.release(value)
        await scope.release(scope_value(scope, "settings"))
        with pytest.raises(NotOpenError):
            await scope.release(value)
    assert log.names("closed") == ["database", "settings"]


def scope_value(scope: Scope, name: str) -> object:
    assert scope._state is not None
    return next(each.value for each in scope._state.resources if each.name == name)


def wrong_things() -> list[tuple[Callable[[], object], str]]:
    async def coroutine() -> None: ...

    def generator() -> Any:
        yield

    async def unfilled(value: int) -> AsyncGenerator[int]:
        yield value

    async def positional(value: int, /) -> AsyncGenerator[int]:
        yield value

    return [
        (lambda: resource(coroutine), "it is a coroutine function; let it yield"),  # type: ignore[arg-type]
        (lambda: resource(generator), "it is a plain generator function; make it `async def`"),
        (lambda: resource(unfilled), "its parameter 'value' has no default"),
        (lambda: resource(positional), "its parameter 'value' has no default"),
        (lambda: resource(3), "decorates functions only"),  # type: ignore[call-overload]
        (lambda: needs(coroutine), "needs() takes a declared resource"),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(("make", "message"), wrong_things())
def test_a_wrong_declaration_is_refused_where_it_stands(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)) as caught:
        make()
    assert re.match(f"{HERE}:\\d+$", caught.value.site)


async def test_opening_what_is_not_declared() -> None:
    async def plain() -> AsyncGenerator[int]:
        yield 1

    async with Scope() as scope:
        with pytest.raises(DeclarationError, match=f"'plain' at {HERE}:\\d+: it is not declared"):
            await scope.open(plain)  # type: ignore[call-overload]
        with pytest.raises(DeclarationError, match=r"'3' at .*: it is not declared"):
            scope.plan(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("times", [0, 2])
@pytest.mark.parametrize("body", ["ok", "error"])
async def test_a_generator_that_yields_never_or_twice(times: int, body: str) -> None:
    @resource
    async def odd() -> AsyncGenerator[int]:
        try:
            for number in range(times):
                yield number
        except ValueError:
            yield -1

    message = "ended without a yield" if times == 0 else "yields a second time"
    with pytest.raises((DeclarationError, ExceptionGroup)) as caught:
        async with Scope() as scope:
            await scope.open(odd)
            if body == "error":
                raise ValueError("body")
    errors = getattr(caught.value, "exceptions", (caught.value,))
    assert [message in str(error) for error in errors if isinstance(error, DeclarationError)] == [
        True
    ]
    assert any(f"'odd' at {__file__}" in str(error) for error in errors)


async def test_a_function_may_return_any_manager_and_nothing_else() -> None:
    @resource
    def plain() -> AbstractAsyncContextManager[int]:
        return nullcontext(3)

    @resource
    def wrong() -> AbstractAsyncContextManager[int]:
        return 3  # type: ignore[return-value]

    async with Scope() as scope:
        assert await scope.open(plain) == 3
        with pytest.raises(DeclarationError, match="it did not return a context manager"):
            await scope.open(wrong)
    async with Scope() as scope:
        assert await scope.enter(plain()) == 3  # made by hand


def test_opening_from_another_loop() -> None:
    scope = Scope("app")
    one = declare(Log(), "one")
    with asyncio.Runner() as runner:
        runner.run(scope.__aenter__())
        with asyncio.Runner() as other, pytest.raises(RuntimeError, match=rf"'one' .{HERE}"):
            other.run(scope.open(one))
        runner.run(scope.__aexit__(None, None, None))


async def test_opening_in_a_closed_scope() -> None:
    one = declare(Log(), "one")
    scope = Scope()
    with pytest.raises(ScopeClosedError, match="'one'"):
        await scope.open(one)
    with pytest.raises(ScopeClosedError):
        scope.override(one, one)


async def test_a_plan_draws_the_tree_and_opens_nothing() -> None:
    log = Log()
    settings = declare(log, "settings")
    database = declare(log, "database", settings)
    migrations = declare(log, "migrations", database)
    app = declare(log, "app", database, migrations)
    async with Scope() as scope:
        plan = scope.plan(app)
        assert plan.names == ("settings", "database", "migrations", "app")
        assert str(plan).splitlines() == [
            "app",
            "├─ database",
            "│  └─ settings",
            "└─ migrations",
            "   └─ database (above)",
        ]
    assert log.steps == []


@pytest.mark.slow
async def test_10_000_resources_are_planned_however_deep() -> None:
    log = Log()
    last = declare(log, "0")
    for number in range(1, 10_000):
        last = declare(log, str(number), last)
    async with Scope() as scope:
        started = perf_counter()
        plan = scope.plan(last)
        took = perf_counter() - started
    assert len(plan.names) == 10_000
    assert plan.names[0] == "0"
    assert took < 5  # a bound against going quadratic; make bench measures


async def test_a_deadline_cuts_a_graph_and_closes_the_rest_of_it_in_order() -> None:
    log = Log()
    settings = declare(log, "settings")
    stuck = declare(log, "stuck", settings, closing=forever)
    app = declare(log, "app", stuck)
    with pytest.raises(CloseTimeoutError) as caught:
        async with Scope(close_timeout=0.01) as scope:
            await scope.open(app)
    assert caught.value.resources == ("stuck",)
    assert log.names("closed") == ["app", "stuck", "settings"]


async def test_a_graph_whose_resource_another_task_fails_to_release_is_closed_all_the_same() -> (
    None
):
    log = Log()
    released = asyncio.Event()
    settings = declare(log, "settings")
    stuck = declare(log, "stuck", settings, closing=stubborn_until(released))
    with pytest.raises(CloseTimeoutError) as caught:
        async with Scope(close_timeout=0.01) as scope:
            value = await scope.open(stuck)
            release = asyncio.create_task(scope.release(value))
            await turns(3)
    assert caught.value.abandoned == ("stuck",)
    assert log.names("closed") == ["settings"]
    released.set()
    await asyncio.gather(release, return_exceptions=True)
    await turns(3)
    assert log.names("closed") == ["settings", "stuck"]


async def test_what_is_being_released_is_opened_again_only_when_it_has_closed() -> None:
    log = Log()
    a = declare(log, "a", turns=4)
    async with Scope() as scope:
        value = await scope.open(a)
        release = asyncio.create_task(scope.release(value))
        await turns(2)
        assert await scope.open(a) == "a()"
        steps = ["opening", "opened", "closing", "closed", "opening", "opened"]
        assert [step for step, _ in log.steps] == steps
        await release


async def test_what_is_released_and_abandoned_is_opened_again_after_that() -> None:
    log = Log()
    released = asyncio.Event()
    a = declare(log, "a", closing=stubborn_until(released))
    async with Scope(close_timeout=0.01) as scope:
        value = await scope.open(a)
        release = asyncio.create_task(scope.release(value))
        await turns(3)
        assert await scope.open(a) == "a()"
        released.set()
        with pytest.raises(CloseTimeoutError):
            await release
        await turns(5)
        assert log.names("closed") == ["a"]
        assert str(scope.plan(a)) == "a (open)"


class Value:
    """Something that can be looked at without being held."""


@resource
async def settings_value() -> AsyncGenerator[Value]:
    yield Value()


@resource
async def database_value(settings: Value = needs(settings_value)) -> AsyncGenerator[Value]:
    yield Value()


@contextmanager
def without_collector() -> Generator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_the_value_of_what_is_released_is_let_go_at_once() -> None:
    async with Scope() as scope:
        values: list[Value] = [*await scope.open(database_value, settings_value)]
        seen = [weakref.ref(value) for value in values]
        with without_collector():
            await scope.release(values.pop(0))
            assert seen[0]() is None
            assert seen[1]() is not None
            await scope.release(values.pop(0))
            assert seen[1]() is None


async def test_a_closed_scope_of_declared_resources_leaves_nothing_for_the_collector() -> None:
    async def use() -> None:
        async with Scope() as scope:
            await scope.open(database_value)
            async with Scope("within") as within:
                await within.open(database_value)

    await use()
    with without_collector():
        for _ in range(20):
            await use()
        assert gc.collect() == 0


async def test_the_error_for_opening_a_resource_that_opens_beside_it_suggests_needs() -> None:
    log = Log()
    a = declare(log, "a", turns=4)

    async def open_beside() -> None:
        await scope.open(a)

    b = declare(log, "b", opening=open_beside)
    async with Scope() as scope:
        with pytest.raises(DeclarationError, match=r"'b' opens it by scope\.open\(\).* needs\(a\)"):
            await scope.open(a, b)
    assert log.names("closed") == log.names("opened")


async def test_a_resource_that_opens_itself_is_an_error() -> None:
    async def open_itself() -> None:
        await scope.open(a)

    a = declare(Log(), "a", opening=open_itself)
    async with Scope() as scope:
        with pytest.raises(DeclarationError, match="opens itself"):
            await scope.open(a)


async def test_a_resource_that_opens_itself_at_once_is_an_error() -> None:
    @resource
    async def a() -> AsyncGenerator[int]:
        await scope.open(a)  # nothing has been waited for before this: its task may be young
        yield 1

    async with Scope() as scope:
        with pytest.raises(DeclarationError, match="opens itself"):
            await scope.open(a)


def in_a_circle(scope: Scope, log: Log, names: str, **options: Any) -> list[Declaration[Any]]:
    """Declare resources each of which opens the next while it opens itself, and the last the first.

    Each waits for as many turns as `options` has for it.
    """

    def opener(number: int) -> Callable[[], Any]:
        async def open_next() -> None:
            await turns(options.get(names[number], 0))
            await scope.open(found[(number + 1) % len(names)])

        return open_next

    found = [declare(log, name, opening=opener(number)) for number, name in enumerate(names)]
    return found


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefgh"])
async def test_resources_that_open_each_other_in_a_circle_are_an_error_that_draws_it(
    names: str,
) -> None:
    log = Log()
    async with Scope() as scope:
        first = in_a_circle(scope, log, names)[0]
        with pytest.raises(DependencyCycleError, match=rf"a \({HERE}:\d+\) > b \(") as caught:
            await scope.open(first)
        assert caught.value.path == (names[-1], *names)
        assert scope.snapshot().resources == ()
    log.check_all_closed()
    assert not waiting._waits


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefgh"])
async def test_resources_that_open_each_other_from_several_tasks_are_an_error_in_each(
    names: str,
) -> None:
    async with Scope() as scope:
        found = in_a_circle(scope, Log(), names, **dict.fromkeys(names, 3))
        results = await asyncio.gather(*map(scope.open, found), return_exceptions=True)
    assert {type(result) for result in results} == {DependencyCycleError}


async def test_a_circle_through_a_scope_within_and_through_what_is_needed_is_drawn() -> None:
    log = Log()

    async def open_x() -> None:
        async with Scope("within") as within:
            await within.open(x)

    async def open_a() -> None:
        await scope.open(a)

    a = declare(log, "a", opening=open_x)
    b = declare(log, "b", opening=open_a)
    x = declare(log, "x", b)
    async with Scope() as scope:
        with pytest.raises(DependencyCycleError) as caught:
            await scope.open(a)
    assert caught.value.path == ("b", "a", "x", "b")
    log.check_all_closed()


async def test_a_circle_of_one_that_opens_and_one_that_is_released_is_drawn() -> None:
    log = Log()
    attempts = iter([True])

    async def open_b() -> None:
        await turns(4)
        await scope.open(b)

    async def open_a_once() -> None:
        if next(attempts, False):
            await turns(9)
            await scope.open(a)

    a = declare(log, "a", opening=open_b)
    b = declare(log, "b", closing=open_a_once)
    async with Scope() as scope:
        value = await scope.open(b)
        opening = asyncio.create_task(scope.open(a))
        with pytest.raises(DependencyCycleError) as caught:
            await scope.release(value)
        assert caught.value.path == ("b", "a", "b")
        assert await opening == "a()"


async def test_one_of_a_circle_that_can_do_without_is_opened() -> None:
    attempts = iter([True])

    async def open_a_once() -> None:
        if next(attempts, False):
            await scope.open(a)

    async def open_b() -> None:
        await scope.open(b)

    a, b = declare(Log(), "a", opening=open_b), declare(Log(), "b", opening=open_a_once, turns=3)
    async with Scope() as scope:
        results = await asyncio.gather(scope.open(a), scope.open(b), return_exceptions=True)
    assert results[0] == "a()"
    assert isinstance(results[1], DependencyCycleError)


async def test_a_resource_that_opens_itself_while_closing_is_an_error() -> None:
    async def open_itself() -> None:
        await scope.open(a)

    a = declare(Log(), "a", closing=open_itself)
    async with Scope() as scope:
        value = await scope.open(a)
        with pytest.raises(DeclarationError, match="would wait for itself"):
            await scope.release(value)


async def test_what_another_task_has_got_is_not_given_back_by_an_opening_that_fails() -> None:
    log = Log()
    attempts = iter([None, ConnectionError("second")])

    async def fail_again() -> None:
        if (error := next(attempts)) is not None:
            raise error

    a, b = declare(log, "a", turns=4), declare(log, "b", opening=fail_again)
    async with Scope() as scope:
        value = await scope.open(b)
        opening = asyncio.create_task(scope.open(a, b))
        await turns(1)
        other = asyncio.create_task(scope.open(a))
        await turns(1)
        await scope.release(value)
        assert await other == "a()"
        with pytest.raises(ConnectionError, match="second"):
            await opening
        assert log.names("closed") == ["b"]
