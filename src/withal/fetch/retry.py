"""When a failed attempt is worth another, and how long to wait before it. Pure."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from withal.fetch.failures import BadStatusError, WrongLengthError

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another attempt may change: RFC 9110 section 15, RFC 8470 (425), RFC 6585 (429)."""

MAX_BACKOFF = 30.0
"""The longest pause in seconds that backing off comes to by itself."""

# Kinds of connection error that the next connection would meet again.
_LASTING = (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)
_TRANSIENT = (
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    ConnectionError,
    TimeoutError,
    WrongLengthError,
)


def is_transient(error: Exception) -> bool:
    """Tell whether the same request may succeed if it is made again."""
    if isinstance(error, BadStatusError):
        return error.status in TRANSIENT_STATUSES
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # A name that does not exist will not exist in a second either.
        return error.os_error.errno == socket.EAI_AGAIN
    return isinstance(error, _TRANSIENT) and not isinstance(error, _LASTING)


def pause(
    attempt: int, announced: float | None, *, backoff: float, draw: Callable[[], float]
) -> float:
    """Return the seconds between attempt number `attempt`, from 1, and the next.

    Full jitter: a draw from nought to a bound that doubles with each attempt, which spreads those
    that failed together best (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015). What the server announced is waited for first, so that jitter comes on top of it.

    Args:
        attempt: the attempt that failed.
        announced: seconds that the server asked for, already capped.
        backoff: the bound after the first attempt, in seconds.
        draw: returns a number between 0 and 1.

    Example:
        >>> [pause(attempt, None, backoff=1, draw=lambda: 0.5) for attempt in (1, 2, 3, 9)]
        [0.5, 1.0, 2.0, 15.0]
        >>> pause(1, 10.0, backoff=1, draw=lambda: 0.5)
        10.5
    """
    # The exponent is bounded, or a float overflows at the thousandth attempt.
    bound = min(MAX_BACKOFF, backoff * 2.0 ** min(attempt - 1, 64))
    return (announced or 0.0) + draw() * bound


def seconds_announced(retry_after: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or None if it says nothing.

    It is a number of seconds or a date (RFC 9110 section 10.2.3). A date that has passed is 0.

    Example:
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> seconds_announced("120", now), seconds_announced("Thu, 01 Jan 2026 00:00:30 GMT", now)
        (120.0, 30.0)
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
