"""Requests are made again after a pause that is spread and bounded, within a budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from hypothesis import given
from hypothesis import strategies as st

from withal.http import HostGate, RetryPolicy, session
from withal.http.retry import MAX_BACKOFF_SECONDS, pause, seconds_announced

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT_ONCE = RetryPolicy(backoff=0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("\u0663", None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("9" * 400, float("inf")),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30),
        ("Friday, 02-Jan-26 03:04:35 GMT", 30),
        ("Fri, 02 Jan 2026 03:04:35 -0000", 30),
        ("Fri, 02 Jan 2026 04:04:35 +0100", 30),
        ("Fri, 02 Jan 2026 03:04:04 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_announced(header, NOW) == seconds


@pytest.mark.slow
@given(st.text())
def test_no_retry_after_makes_reading_it_fail(header: str) -> None:
    announced = seconds_announced(header, NOW)
    assert announced is None or announced >= 0


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_retry_after_as_a_date_is_the_time_until_then(date: datetime) -> None:
    announced = seconds_announced(format_datetime(date, usegmt=True), NOW)
    assert announced == max(0, (date - NOW) // timedelta(seconds=1))


@given(
    st.integers(1, 10_000),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 100),
    st.floats(0, 1),
)
def test_a_pause_is_between_what_was_announced_and_the_bound_above_it(
    attempt: int, announced: float | None, backoff: float, drawn: float
) -> None:
    seconds = pause(attempt, announced, backoff=backoff, draw=lambda: drawn)
    least = announced or 0
    assert least <= seconds <= least + MAX_BACKOFF_SECONDS


def test_the_bound_doubles_with_each_attempt_up_to_the_longest() -> None:
    pauses = [pause(attempt, None, backoff=2, draw=lambda: 1) for attempt in range(1, 7)]
    assert pauses == [2, 4, 8, 16, 30, 30]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


class Failing:
    """Fails so many times, then answers."""

    def __init__(
        self, times: int, status: int = 503, headers: dict[str, str] | None = None
    ) -> None:
        self.left = times
        self.asked = 0
        self.status = status

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.asked <= self.left:
            return web.Response(status=self.status)
        return web.Response(text="here")


@pytest.mark.parametrize(("failures", "status"), [(2, 200), (3, 200), (4, 503)])
async def test_an_answer_that_may_pass_is_asked_for_again(failures: int, status: int) -> None:
    handler = Failing(failures)
    async with serving(handler) as url, session(retry=AT_ONCE) as client:
        async with client.get(url) as answer:
            assert answer.status == status
        assert handler.asked == min(failures + 1, 4)
        assert client.connector is not None


@pytest.mark.parametrize("status", [200, 304, 400, 404, 501])
async def test_an_answer_that_stays_is_final(status: int) -> None:
    handler = Failing(1, status)
    async with serving(handler) as url, session(retry=AT_ONCE) as client, client.get(url) as answer:
        assert (answer.status, handler.asked) == (status, 1)


async def test_what_is_not_idempotent_is_not_repeated() -> None:
    handler = Failing(1)
    async with serving(handler) as url, session(retry=AT_ONCE) as client:
        answer = await client.post(url, json={})
        assert (answer.status, handler.asked) == (503, 1)
        answer.close()


async def test_a_body_is_repeated_only_if_it_can_be() -> None:
    async def once() -> AsyncIterator[bytes]:
        yield b"body"

    async with session(retry=AT_ONCE) as client:
        handler = Failing(1)
        async with serving(handler) as url, client.put(url, data=b"body") as answer:
            assert (answer.status, handler.asked) == (200, 2)
        handler = Failing(1)
        async with serving(handler) as url, client.put(url, data=once()) as answer:
            assert (answer.status, handler.asked) == (503, 1)


async def test_a_connection_that_is_refused_is_tried_again_and_then_the_error() -> None:
    async with session(retry=AT_ONCE) as client:
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(f"http://127.0.0.1:{unused_port()}/")


async def test_the_budget_bounds_the_retries_of_all_requests_together() -> None:
    handler = Failing(1000)
    policy = RetryPolicy(backoff=0, budget=0.5, reserve=2)
    async with serving(handler) as url, session(retry=policy) as client:
        for _ in range(20):
            async with client.get(url) as answer:
                assert answer.status == 503
    assert handler.asked == 20 + 2 + 10


async def test_a_pause_that_a_host_asks_for_is_for_all_requests_to_it() -> None:
    """The requests come at 16 at a time; after the first 503 none comes for a while."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def busy_once(request: web.Request) -> web.Response:
        times.append(loop.time())
        headers = {"Retry-After": "1"}
        return web.Response(status=503 if len(times) == 1 else 200, headers=headers)

    gate = HostGate(per_host=1, max_pause=0.2)
    policy = RetryPolicy(backoff=0, max_retry_after=0)
    async with serving(busy_once) as url, session(gate=gate, retry=policy) as client:

        async def get() -> int:
            async with client.get(url) as answer:
                return answer.status

        assert await asyncio.gather(*(get() for _ in range(4))) == [200] * 4
    assert len(times) == 5
    assert times[1] - times[0] >= 0.19


async def test_a_turn_is_held_until_the_response_is_released() -> None:
    large = b"x" * 4_000_000

    async def whole(request: web.Request) -> web.Response:
        return web.Response(body=large)

    gate = HostGate(per_host=1)
    async with serving(whole) as url, session(gate=gate) as client:
        response = await client.get(url)
        assert gate.statistics().running == 1
        second = asyncio.ensure_future(client.get(url))
        for _ in range(20):
            await asyncio.sleep(0)
        assert gate.statistics().waiting == 1
        response.close()
        async with await second as answer:
            assert await answer.read() == large
        assert gate.statistics().running == 0


async def test_waiting_for_a_turn_burns_no_connect_timeout() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response()

    gate = HostGate(per_host=1)
    async with serving(slow) as url, session(gate=gate, connect_timeout=0.1) as client:

        async def get() -> int:
            async with client.get(url) as answer:
                return answer.status

        assert await asyncio.gather(*(get() for _ in range(5))) == [200] * 5


async def test_a_request_that_fails_gives_its_turn_back() -> None:
    gate = HostGate(per_host=1)
    async with session(gate=gate) as client:
        for _ in range(3):
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get(f"http://127.0.0.1:{unused_port()}/")
    assert gate.statistics().running == 0


@pytest.mark.parametrize(
    "arguments", [{"attempts": 0}, {"backoff": -1}, {"budget": float("nan")}, {"reserve": -1}]
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        RetryPolicy(**arguments)  # type: ignore[arg-type]
