"""Retries: which requests are repeated, after which pause, and how many in total."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import final

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another attempt may change: RFC 9110 section 15, RFC 8470 (425), RFC 6585 (429)."""

BUSY_STATUSES = frozenset({429, 503})
"""Answers whose ``Retry-After`` is meant for every request to the host."""

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that have the same effect when a request is made twice: RFC 9110 section 9.2.2."""

MAX_BACKOFF_SECONDS = 30.0
"""The longest pause in seconds without a ``Retry-After``."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Which requests are repeated, and when. Times are in seconds.

    Attributes:
        attempts: how often a request is made before its failure is final.
        backoff: the longest pause before the second attempt; it doubles with each further one, up
            to `max_backoff`. The pause is a random part of that ("full jitter"), so that requests
            that failed together are not repeated together.
        max_backoff: the longest pause without a ``Retry-After``.
        max_retry_after: the longest pause after a server's ``Retry-After``.
        statuses: the status codes after which a request is repeated.
        methods: which methods may be repeated. A body that can be sent only once is never
            repeated.
        budget: the number of retries per request, on average over all requests of a session. So a
            server that fails every request gets ``1 + budget`` times as many requests, not
            `attempts` times as many.
        reserve: the number of retries beyond the budget, so that the first requests can be
            repeated, too.

    Raises:
        ValueError: if a number is out of its range.
    """

    attempts: int = 4
    backoff: float = 1.0
    max_backoff: float = MAX_BACKOFF_SECONDS
    max_retry_after: float = 60.0
    statuses: frozenset[int] = TRANSIENT_STATUSES
    methods: frozenset[str] = IDEMPOTENT_METHODS
    budget: float = 0.2
    reserve: int = 10

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be 1 or more, not {self.attempts}")
        for name in ("backoff", "max_backoff", "max_retry_after", "budget", "reserve"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")

    def pause(self, attempt: int, announced: float | None) -> float:
        """Return the seconds to wait after attempt number `attempt`, from 1.

        Args:
            attempt: the attempt that failed.
            announced: the seconds that the server requested, if it did.
        """
        if announced is not None:
            announced = min(announced, self.max_retry_after)
        return pause(
            attempt, announced, backoff=self.backoff, draw=random.random, bound=self.max_backoff
        )


@final
class RetryBudget:
    """How many retries are left, over many requests (as Finagle's ``RetryBudget``).

    Example:
        >>> budget = RetryBudget(0.5, reserve=1)
        >>> budget.spend(), budget.spend()
        (True, False)
        >>> for _ in range(2): budget.earn()
        >>> budget.spend(), budget.spend()
        (True, False)
    """

    __slots__ = ("_left", "_most", "_share")

    def __init__(self, share: float, *, reserve: int) -> None:
        self._share = share
        self._left = float(reserve)
        # The saved retries are limited, so that not all of them are spent at once when servers
        # fail.
        self._most = max(float(reserve), 100 * share)

    def earn(self) -> None:
        """Count a request that is made for the first time."""
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Use one retry, if one is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def pause(
    attempt: int,
    announced: float | None,
    *,
    backoff: float,
    draw: Callable[[], float],
    bound: float = MAX_BACKOFF_SECONDS,
) -> float:
    """Return the seconds between attempt number `attempt`, from 1, and the next.

    Full jitter: a random time from 0 to a bound that doubles with each attempt. This spreads
    requests that failed together best
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). The pause that the
    server announced is added to it.

    Args:
        attempt: the attempt that failed.
        announced: the seconds that the server requested, already capped.
        backoff: the bound after the first attempt, in seconds.
        draw: returns a number between 0 and 1.
        bound: the largest bound, in seconds.

    Example:
        >>> [pause(attempt, None, backoff=1, draw=lambda: 0.5) for attempt in (1, 2, 3, 9)]
        [0.5, 1.0, 2.0, 15.0]
        >>> pause(1, 10.0, backoff=1, draw=lambda: 0.5)
        10.5
    """
    # The exponent is bounded, since a float would overflow at the thousandth attempt.
    return (announced or 0.0) + draw() * min(bound, backoff * 2.0 ** min(attempt - 1, 64))


def seconds_announced(retry_after: str | None, now: datetime) -> float | None:
    """Return the seconds of a ``Retry-After`` header; None if it is missing or invalid.

    It is a number of seconds or a date: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3.
    A date in the past is 0.

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
