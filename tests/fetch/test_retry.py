"""What may pass is tried again, after a pause that is spread, bounded, and the server's own."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st

from withal import CloseTimeoutError
from withal.fetch.failures import BadStatusError, WrongLengthError
from withal.fetch.retry import MAX_BACKOFF, is_transient, pause, seconds_announced

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PEER = ConnectionKey("host.example", 443, True, True, None, None, None)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_transient(status: int) -> None:
    assert is_transient(BadStatusError(status, "", None))


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 416, 501, 505])
def test_a_status_that_stays_is_not(status: int) -> None:
    assert not is_transient(BadStatusError(status, "", None))


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectorError(PEER, ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
        aiohttp.ClientConnectorDNSError(PEER, socket.gaierror(socket.EAI_AGAIN, "again")),
        aiohttp.ClientOSError(errno.ECONNRESET, "reset"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError("cut short"),
        aiohttp.ConnectionTimeoutError(),
        aiohttp.SocketTimeoutError(),
        ConnectionResetError(),
        TimeoutError(),
        WrongLengthError(1, 2),
    ],
)
def test_a_failure_of_the_connection_is_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientConnectorDNSError(PEER, socket.gaierror(socket.EAI_NONAME, "unknown")),
        aiohttp.ClientConnectorSSLError(PEER, OSError(1, "handshake")),
        aiohttp.ClientConnectorCertificateError(PEER, ssl.CertificateError("expired")),
        aiohttp.InvalidURL("http://"),
        OSError(errno.ENOSPC, "disk full"),
        FileExistsError(errno.EEXIST, "exists"),
        CloseTimeoutError("file", 1.0, ("part_file",)),
    ],
)
def test_a_failure_that_would_come_again_is_not(error: Exception) -> None:
    assert not is_transient(error)


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
    assert least <= seconds <= least + MAX_BACKOFF


def test_the_bound_doubles_with_each_attempt_up_to_the_longest() -> None:
    pauses = [pause(attempt, None, backoff=2, draw=lambda: 1) for attempt in range(1, 7)]
    assert pauses == [2, 4, 8, 16, 30, 30]
