"""How a batch of URLs is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from withal.fetch.plan import Layout
from withal.fetch.request import check_headers


@final
class OnExists(StrEnum):
    """What is done about a file that has the name already and is not of an earlier run."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


@final
class TransportName(StrEnum):
    """What speaks to the servers."""

    AUTO = "auto"  # libcurl where pycurl is installed, which is faster for small files
    AIOHTTP = "aiohttp"
    CURL = "curl"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How a batch of URLs is fetched. Times are in seconds.

    Attributes:
        jobs: how many files are fetched at a time; None to find out how many the network bears.
        per_host: how many of them from one host.
        segments: how many connections one large file may take, from a server that has ranges and
            a strong validator. Each has at least 4 MiB of it, and counts for `jobs` and `per_host`.
            It helps where one connection is slower than the link, as over long distances.
        rate: how many requests a second begin, to all hosts; None for no limit.
        limit_bytes: how many bytes a second are received, by all files together.
        attempts: how often a file is tried before it has failed.
        backoff: the longest pause before the second attempt; it doubles with each further one, up
            to 30. The pause is drawn from all that are shorter, so that jobs that failed together
            do not come back together.
        max_retry_after: the longest that a server's ``Retry-After`` is followed. Meanwhile nothing
            is asked of the whole host.
        retry_budget: how many attempts there may be for each file beyond its first, over the whole
            batch, and 50 more. It keeps a batch from asking a server that is down `attempts` times
            for everything.
        connect_timeout: for looking up a host, connecting and TLS together.
        idle_timeout: without a byte, while waiting for an answer or for more of it.
        low_speed: bytes a second, over 30 seconds, below which a body is given up for this attempt.
        max_bytes: how long a file may be; one that is longer fails.
        max_redirects: how many redirects are followed for one file.
        digest: have the SHA-256 digest of each file in its result. Where a request says what it
            must be, it is computed in any case.
        layout: how files are named whose requests do not say.
        on_exists: what is done about files that exist, other than those that an earlier run has
            fetched from the same URL: these are complete and are left as they are.
        durable: have each file survive a power cut once it is reported.
        resume: keep a journal, and the parts of files that were interrupted, in the folder; a
            later run goes on from there.
        retry_failed: only what failed in an earlier run.
        expect_type: refuse a body of another ``Content-Type``, such as the page that says that a
            file has gone. May have wildcards: ``image/*``.
        public_only: connect to public addresses only; see `withal.http.is_public`. Without it
            that is still so after a redirect from a public address.
        headers: sent with each request, and to no other host that it leads to.
        netrc: take users and passwords from ``~/.netrc``, or what ``NETRC`` names.
        proxy: the URL of a proxy for all requests; None for those of the environment
            (``HTTPS_PROXY``, ``NO_PROXY``), an empty text for none.
        transport: what speaks to the servers.
        grace: how long files that are being received when all is cancelled may take to complete.
    """

    jobs: int | None = None
    per_host: int = 16
    segments: int = 1
    rate: float | None = None
    limit_bytes: float | None = None
    attempts: int = 5
    backoff: float = 1.0
    max_retry_after: float = 60.0
    retry_budget: float = 1.0
    connect_timeout: float = 30.0
    idle_timeout: float = 60.0
    low_speed: float | None = None
    max_bytes: int | None = None
    max_redirects: int = 10
    digest: bool = False
    layout: Layout = Layout.FLAT
    on_exists: OnExists = OnExists.ERROR
    durable: bool = False
    resume: bool = True
    retry_failed: bool = False
    expect_type: str | None = None
    public_only: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    netrc: bool = False
    proxy: str | None = field(default=None, repr=False)
    transport: TransportName = TransportName.AUTO
    grace: float = 0.0

    def __post_init__(self) -> None:
        for name in ("jobs", "per_host", "segments", "attempts", "max_bytes"):
            self._check(name, getattr(self, name), 1, "1 or more")
        for name in ("backoff", "max_retry_after", "retry_budget", "grace"):
            self._check(name, getattr(self, name), 0, "0 or more")
        self._check("max_redirects", self.max_redirects, 0, "0 or more")
        for name in ("connect_timeout", "idle_timeout", "rate", "limit_bytes", "low_speed"):
            number = getattr(self, name)
            if number is not None and not number > 0:
                raise ValueError(f"{name} must be more than 0, not {number}")
        # As texts they are taken too, and are then what they should be.
        object.__setattr__(self, "layout", Layout(self.layout))
        object.__setattr__(self, "on_exists", OnExists(self.on_exists))
        object.__setattr__(self, "transport", TransportName(self.transport))
        check_headers(self.headers)

    def _check(self, name: str, number: float | None, least: float, what: str) -> None:
        if number is not None and not number >= least:
            raise ValueError(f"{name} must be {what}, not {number}")
