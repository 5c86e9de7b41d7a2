"""Law 4: what an opening sets in context variables is seen by the body, and taken back."""

from __future__ import annotations

import asyncio
import decimal
from collections.abc import AsyncGenerator, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar

import anyio
import pytest

from withal import Scope

variable: ContextVar[str] = ContextVar("variable")


@contextmanager
def setting(value: str) -> Generator[str]:
    token = variable.set(value)
    try:
        yield value
    finally:
        assert variable.get() == value  # its own context
        variable.reset(token)


@asynccontextmanager
async def setting_late(value: str) -> AsyncGenerator[str]:
    await asyncio.sleep(0)
    with setting(value):
        yield value


@asynccontextmanager
async def asking() -> AsyncGenerator[str]:
    yield seen()


def seen() -> str:
    return variable.get("unset")


async def ask_and_fail() -> str:
    raise OSError("refused")


async def ask() -> str:
    return seen()


Setting = AbstractContextManager[str] | AbstractAsyncContextManager[str]
KINDS = [setting, setting_late]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_body_and_what_opens_later_see_it(kind: type[Setting], inline: bool) -> None:
    async with Scope() as scope:
        await scope.enter(kind("a"), inline=inline)  # type: ignore[call-arg]
        assert seen() == "a"
        assert await scope.enter(asking()) == "a"
        assert await scope.spawn(ask()) == "a"
        scope.defer(lambda: results.append(seen()))
        results: list[str] = []
        async with Scope() as inner:
            assert await inner.enter(asking()) == "a"
            await inner.enter(kind("b"))  # type: ignore[call-arg]
            assert seen() == "b"
            variable.set("the body's own")
        assert seen() == "a"
    assert results == ["a"]
    assert seen() == "unset"


async def test_of_several_together_the_last_argument_wins_and_all_are_restored() -> None:
    async with Scope() as scope:
        await scope.enter(setting("first"))
        await scope.enter_all(setting_late("a"), setting("b"), setting_late("c"))
        assert seen() == "c"
        assert await scope.enter(asking()) == "c"
    assert seen() == "unset"


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
async def test_released_in_any_order_the_values_return_in_reverse(order: str) -> None:
    async with Scope() as scope:
        managers = {name: setting(name) for name in "abc"}
        for manager in managers.values():
            await scope.enter(manager)
        left = "abc"
        for name in order:
            await scope.release(managers[name])
            left = left.replace(name, "")
            assert seen() == (left[-1] if left else "unset")
            assert await scope.spawn(ask()) == seen()


async def test_nothing_is_left_of_an_opening_that_fails() -> None:
    @asynccontextmanager
    async def failing() -> AsyncGenerator[str]:
        with setting("lost"):
            yield await ask_and_fail()

    async with Scope() as scope:
        with pytest.raises(OSError, match="refused"):
            await scope.enter_all(setting("a"), failing(), setting_late("b"))
        assert seen() == "unset"
        assert await scope.enter(asking()) == "unset"


async def test_closed_by_another_task_the_values_return_with_the_body() -> None:
    async with Scope() as scope:
        await scope.enter(setting("a"))
        await asyncio.create_task(scope.aclose())
    assert seen() == "unset"


async def test_a_scope_within_a_scope_gives_back_what_the_body_entered_into_it() -> None:
    async with Scope() as outer:
        inner = await outer.enter(Scope("inner"))
        await inner.enter(setting("a"))
        assert seen() == "a"
        await outer.release(inner)
        assert seen() == "unset"


async def test_another_task_sets_its_own_context_and_that_of_the_scope() -> None:
    async with Scope() as scope:

        async def enter() -> str:
            await scope.enter(setting("a"))
            return seen()

        assert await asyncio.create_task(enter()) == "a"
        assert seen() == "unset"
        assert await scope.enter(asking()) == "a"


async def test_a_decimal_context_is_that_of_the_body() -> None:
    before = decimal.getcontext().prec
    async with Scope() as scope:
        await scope.enter(decimal.localcontext(decimal.Context(prec=3)))
        assert decimal.Decimal(1) / 3 == decimal.Decimal("0.333")
    assert decimal.getcontext().prec == before


async def test_a_logger_of_structlog_is_bound_in_the_body() -> None:
    structlog = pytest.importorskip("structlog")
    async with Scope() as scope:
        await scope.enter(structlog.contextvars.bound_contextvars(request="7"))
        assert structlog.contextvars.get_contextvars() == {"request": "7"}
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_span_of_opentelemetry_is_the_parent_of_what_the_body_starts() -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    tracer = trace.TracerProvider().get_tracer("tests")
    async with Scope() as scope:
        outer = await scope.enter(tracer.start_as_current_span("outer"))
        inner = await scope.enter(tracer.start_as_current_span("inner"))
        assert inner.parent.span_id == outer.get_span_context().span_id
        with tracer.start_as_current_span("body") as span:
            assert span.parent.span_id == inner.get_span_context().span_id
    assert outer.end_time >= inner.end_time
    with tracer.start_as_current_span("after") as span:
        assert span.parent is None


async def test_a_cancel_scope_of_anyio_governs_its_host_and_not_the_body() -> None:
    async with Scope() as scope:
        limit = await scope.enter(anyio.CancelScope())
        await scope.enter(anyio.move_on_after(60))
        await asyncio.create_task(scope.release(limit))


async def test_a_synchronous_manager_runs_in_no_task_of_its_own() -> None:
    @contextmanager
    def noting() -> Generator[None]:
        tasks.append(asyncio.current_task())
        yield
        tasks.append(asyncio.current_task())

    tasks: list[asyncio.Task[object] | None] = []
    async with Scope() as scope:
        await scope.enter(noting())
        await scope.enter_all(noting(), noting())
    assert set(tasks) == {asyncio.current_task()}
    assert len(tasks) == 6
