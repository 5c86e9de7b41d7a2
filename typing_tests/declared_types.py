"""The types of declared resources, held by mypy and pyright: nothing here is run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import assert_type

from withal import Declaration, Plan, Scope, needs, resource


@resource
async def settings() -> AsyncIterator[dict[str, str]]:
    yield {}


@resource
async def database(options: dict[str, str] = needs(settings)) -> AsyncGenerator[int, None]:
    assert_type(needs(settings), dict[str, str])
    yield len(options)


@resource
def pool(size: int = needs(database)) -> AbstractAsyncContextManager[bytes]:
    return nullcontext(bytes(size))


@resource
def lock() -> AbstractContextManager[float]:
    return nullcontext(1.0)


@resource
async def wrong(options: int = needs(settings)) -> AsyncIterator[int]:  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
    yield options


async def opening(scope: Scope) -> None:
    assert_type(settings, Declaration[dict[str, str]])
    assert_type(await scope.open(settings), dict[str, str])
    assert_type(await scope.open(database), int)
    assert_type(await scope.open(pool), bytes)
    assert_type(await scope.open(lock), float)
    assert_type(await scope.open(database, pool), tuple[int, bytes])
    assert_type(await scope.open(database, pool, lock), tuple[int, bytes, float])
    assert_type(scope.plan(pool, lock), Plan)
    scope.override(database, database)
    await scope.open(opening)  # type: ignore[call-overload]  # pyright: ignore
