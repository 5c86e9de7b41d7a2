"""How a batch of URLs is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How a batch of URLs is fetched. Times are in seconds.

    Attributes:
        jobs: how many files are fetched at a time.
        per_host: how many of them from one host.
        attempts: how often a file is tried before it has failed.
        backoff: the longest pause before the second attempt; it doubles with each further one, up
            to 30. The pause is drawn from all that are shorter, so that jobs that failed together
            do not come back together.
        max_retry_after: the longest that a server's ``Retry-After`` is followed.
        overwrite: replace files that exist.
        durable: have each file survive a power cut once it is reported.
        connect_timeout: for looking up a host, connecting and TLS together.
        idle_timeout: without a byte, while waiting for an answer or for more of it.
    """

    jobs: int = 8
    per_host: int = 6
    attempts: int = 5
    backoff: float = 1.0
    max_retry_after: float = 60.0
    overwrite: bool = False
    durable: bool = False
    connect_timeout: float = 30.0
    idle_timeout: float = 60.0

    def __post_init__(self) -> None:
        for name in ("jobs", "per_host", "attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("backoff", "max_retry_after"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more seconds, not {getattr(self, name)}")
        for name in ("connect_timeout", "idle_timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0 seconds, not {getattr(self, name)}")
