"""The options of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from withal.fetch.plan import Layout
from withal.fetch.requests.request import check_headers


@final
class OnExists(StrEnum):
    """How to treat an existing file that no earlier run has fetched."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


@final
class TransportName(StrEnum):
    """The HTTP client."""

    AUTO = "auto"  # libcurl where pycurl is installed, which is faster for small files
    AIOHTTP = "aiohttp"
    CURL = "curl"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """The options of a batch. Times are in seconds.

    Attributes:
        jobs: the number of files that are fetched at a time; None adapts it to the network.
        per_host: the largest number of them from one host.
        segments: the largest number of connections for one large file, from a server with ranges
            and a strong validator. Each has at least 4 MiB of it, and counts for `jobs` and
            `per_host`. It helps where one connection is slower than the link, as over long
            distances.
        rate: the largest number of requests per second, to all hosts; None for no limit.
        limit_bytes: the largest number of bytes per second, of all files together.
        attempts: the largest number of attempts for a file.
        backoff: the longest pause before the second attempt; it doubles with each further one, up
            to 30. The pause is a random part of that, so that jobs that failed together are not
            retried together.
        max_retry_after: the longest pause after a server's ``Retry-After``. During the pause, no
            request is sent to the host.
        retry_budget: the number of retries per file, on average over the whole batch, and 50 more.
            It limits the requests to a server that is down.
        connect_timeout: for looking up a host, connecting and TLS together.
        idle_timeout: the longest time without data, while waiting for a response or its body.
        low_speed: bytes per second, over 30 seconds; a slower body ends the attempt.
        max_bytes: the largest length of a file; a longer one fails.
        max_redirects: the largest number of redirects for one file.
        digest: compute the SHA-256 digest of each file for its result. It is always computed for
            requests with an expected digest.
        layout: the names of files whose requests have no path.
        on_exists: how to treat existing files, except those that an earlier run has fetched from
            the same URL: these are complete and are skipped.
        durable: flush each file to the disk before it is reported.
        resume: keep a journal, and the parts of interrupted files, in the folder; a later run
            continues from there.
        retry_failed: fetch only requests that failed in an earlier run.
        expect_type: refuse a body of another ``Content-Type``, such as an error page. May have
            wildcards: ``image/*``.
        public_only: connect to public addresses only; see `withal.http.is_public`. Without it,
            this still applies after a redirect from a public address.
        headers: sent with each request, but not to other hosts after a redirect.
        netrc: read users and passwords from ``~/.netrc``, or the file that ``NETRC`` names.
        proxy: the URL of a proxy for all requests; None for those of the environment
            (``HTTPS_PROXY``, ``NO_PROXY``), an empty string for none.
        transport: the HTTP client.
        grace: after a cancellation, how long running downloads may take to complete.
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
        # Strings are converted to the enumerations.
        object.__setattr__(self, "layout", Layout(self.layout))
        object.__setattr__(self, "on_exists", OnExists(self.on_exists))
        object.__setattr__(self, "transport", TransportName(self.transport))
        check_headers(self.headers)

    def _check(self, name: str, number: float | None, least: float, valid: str) -> None:
        if number is not None and not number >= least:
            raise ValueError(f"{name} must be {valid}, not {number}")
