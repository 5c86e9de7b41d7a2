"""What a pool refuses: each by an error that says what was given, at the line that gave it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from withal import AlreadyEnteredError
from withal.pools import NotHeldError, Pool, PoolClosedError


@asynccontextmanager
async def connect() -> AsyncIterator[object]:
    yield object()


async def coroutine() -> None:
    """Is no manager."""


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be one or more, got 0"),
        ({"size": -1}, ValueError, "size must be one or more, got -1"),
        ({"size": 1.5}, TypeError, "size must be an int, got 1.5"),
        ({"size": "2"}, TypeError, "size must be an int, got '2'"),
        ({"size": True}, TypeError, "size must be an int"),
        ({"size": 2, "warm": 3}, ValueError, "warm must be from 0 to size .2., got 3"),
        ({"size": 2, "warm": -1}, ValueError, "warm must be from 0"),
        ({"size": 1, "max_waiting": -1}, ValueError, "max_waiting must be zero or more"),
        (
            {"size": 1, "acquire_timeout": -1},
            ValueError,
            "acquire_timeout must be zero or more seconds",
        ),
        ({"size": 1, "acquire_timeout": float("nan")}, ValueError, "acquire_timeout"),
        ({"size": 1, "idle_timeout": -0.1}, ValueError, "idle_timeout must be zero or more"),
        (
            {"size": 1, "idle_timeout": "5"},
            TypeError,
            "idle_timeout must be a number of seconds, got '5'",
        ),
        ({"size": 1, "max_age": -1}, ValueError, "max_age must be zero or more seconds; got -1"),
        ({"size": 1, "max_age": 0}, ValueError, "max_age must be more than zero"),
        ({"size": 1, "held_too_long": 0}, ValueError, "held_too_long must be more than zero"),
        (
            {"size": 1, "close_timeout": -1},
            ValueError,
            "close_timeout must be zero or more seconds",
        ),
        (
            {"size": 1, "close_timeout": None},
            TypeError,
            "close_timeout must be a number of seconds, got None",
        ),
        ({"size": 1, "check": 5}, TypeError, "check must be a function that takes"),
        ({"size": 1, "reset": "reset"}, TypeError, "reset must be a function that takes"),
        ({"size": 1, "check_after": 5}, ValueError, "check_after needs a check"),
        ({"size": 1, "name": 5}, TypeError, "name must be a str or None, got 5"),
        ({"size": 1, "chek": print}, TypeError, "chek"),
        ({}, TypeError, "size"),
    ],
)
def test_what_a_pool_cannot_be(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Pool(connect, **options)


def test_open_is_to_be_a_function() -> None:
    with pytest.raises(TypeError, match="returns a context manager, got 5"):
        Pool(5, size=1)  # type: ignore[call-overload]
    with pytest.raises(
        TypeError, match="pass the function without calling it: each resource needs"
    ):
        Pool(connect(), size=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="returns a context manager, got <coroutine"):
        Pool(coroutine(), size=1)  # type: ignore[call-overload]


@pytest.mark.parametrize("made", [lambda: 5, coroutine, lambda: connect])
async def test_what_open_returns_is_to_be_a_manager(made: Any) -> None:
    async with Pool(made, size=1) as pool:
        with pytest.raises(TypeError, match="expected a context manager, got"):
            async with pool.acquire():
                pass
        assert pool.statistics().opening == 0


async def test_open_is_to_take_no_arguments() -> None:
    async with Pool(lambda one: connect(), size=1) as pool:  # type: ignore[arg-type, misc]
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            async with pool.acquire():
                pass


async def test_what_is_not_the_pools_cannot_be_discarded() -> None:
    async with Pool(connect, size=1, name="db") as pool:
        with pytest.raises(NotHeldError, match="'foreign' is not held from pool 'db'"):
            pool.discard("foreign")
        async with pool.acquire() as value:
            pass
        with pytest.raises(NotHeldError):
            pool.discard(value)
    with pytest.raises(NotHeldError):
        pool.discard(value)


async def test_a_pool_is_entered_before_and_not_after() -> None:
    pool = Pool(connect, size=1, name="db")
    with pytest.raises(PoolClosedError, match="'db' is not open yet"):
        pool.acquire()
    assert pool.statistics().open == 0
    assert pool.holders() == ()
    async with pool:
        early = pool.acquire()
        with pytest.raises(AlreadyEnteredError):
            await pool.__aenter__()
    with pytest.raises(PoolClosedError, match="'db' is closed"):
        await early.__aenter__()
    with pytest.raises(AlreadyEnteredError):
        await pool.__aenter__()


async def test_an_acquisition_is_entered_once() -> None:
    async with Pool(connect, size=2) as pool:
        acquisition = pool.acquire()
        async with acquisition:
            with pytest.raises(AlreadyEnteredError, match="acquisition of 'connect'"):
                await acquisition.__aenter__()
        with pytest.raises(RuntimeError, match="exited without having been entered"):
            await acquisition.__aexit__(None, None, None)
        for timeout in (-1, float("nan")):
            with pytest.raises(ValueError, match="timeout must be zero or more seconds"):
                pool.acquire(timeout=timeout)
        with pytest.raises(TypeError, match="timeout must be a number of seconds, got '1'"):
            pool.acquire(timeout="1")  # type: ignore[arg-type]


async def test_another_loop_is_refused() -> None:
    async with Pool(connect, size=1, name="db") as pool:
        acquisition = pool.acquire()

        async def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="pool 'db' belongs to another event loop"):
                await acquisition.__aenter__()
            with pytest.raises(RuntimeError, match="pool 'db' belongs to another event loop"):
                await pool.aclose()

        await asyncio.to_thread(asyncio.run, elsewhere())


@pytest.mark.filterwarnings("ignore:This process")
async def test_a_forked_process_is_refused() -> None:
    async with Pool(connect, size=1, name="db") as pool:
        acquisition = pool.acquire()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                acquisition.__aenter__().send(None)
            except RuntimeError as exc:
                os.write(writing, str(exc).encode())
            finally:
                os._exit(0)
        os.close(writing)
        said = os.read(reading, 10_000).decode()
        os.close(reading)
        os.waitpid(child, 0)
        assert "pool 'db' was opened before a fork" in said
        async with pool.acquire():
            pass
