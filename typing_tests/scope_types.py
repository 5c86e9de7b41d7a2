"""The types that a user sees, held by mypy and pyright: nothing here is run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from io import StringIO
from typing import Any, assert_type

import aiohttp

from withal import Scope


@asynccontextmanager
async def number() -> AsyncGenerator[int, None]:
    yield 1


async def entering(scope: Scope, session: aiohttp.ClientSession) -> None:
    assert_type(await scope.enter(number()), int)
    assert_type(await scope.enter(StringIO()), StringIO)
    assert_type(await scope.enter(session), aiohttp.ClientSession)
    assert_type(await scope.enter(session.get("")), aiohttp.ClientResponse)
    assert_type(await scope.enter(asyncio.timeout(1), inline=True), asyncio.Timeout)
    assert_type(await scope.enter(Scope("inner")), Scope)


async def entering_together(scope: Scope, session: aiohttp.ClientSession) -> None:
    assert_type(await scope.enter_all(), tuple[()])
    assert_type(await scope.enter_all(number()), tuple[int])
    assert_type(
        await scope.enter_all(session, number(), session.get("")),
        tuple[aiohttp.ClientSession, int, aiohttp.ClientResponse],
    )
    assert_type(await scope.enter_all(*[number()]), tuple[int, ...])
    assert_type(await scope.enter_all(StringIO(), StringIO()), tuple[StringIO, ...])
    assert_type(await scope.enter_all(StringIO(), number()), tuple[Any, ...])
    assert_type(await scope.enter_all(nullcontext(1), nullcontext("")), tuple[int, str])


async def running(scope: Scope) -> None:
    async def work() -> str:
        return ""

    def plain(value: int, *, key: str) -> None: ...

    assert_type(scope.spawn(work()), asyncio.Task[str])
    scope.defer(plain, 1, key="a")
    scope.defer(plain, "1", key="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await scope.enter(work())  # type: ignore[call-overload]  # pyright: ignore
    await scope.enter(Scope)  # type: ignore[call-overload]  # pyright: ignore
