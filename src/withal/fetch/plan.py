"""What is to be fetched into which file, decided for a whole batch before any request. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias, final

from yarl import URL

from withal._core.credentials import url_without_credentials
from withal.fetch.names import Names, name_in

# Spaces and control characters. urllib and yarl drop or encode them, but in a list of URLs they
# are the trace of a broken line.
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


@final
@dataclass(frozen=True, slots=True)
class Job:
    """One file to fetch.

    Attributes:
        url: as it was given, without user and password. This is what is shown.
        host: the host and port to fetch from, in one form for all jobs.
        name: the name of the file: safe, and no other job's.
        request: what is requested, with user and password; None where that is `url`.
    """

    url: str
    host: str
    name: str
    request: URL | None = field(default=None, repr=False, compare=False)


@final
@dataclass(frozen=True, slots=True)
class Rejected:
    """A URL that cannot be fetched, without user and password, and why."""

    url: str
    reason: str


Entry: TypeAlias = Job | Rejected


def plan(urls: Iterable[str]) -> tuple[Entry, ...]:
    """Return what to do about each URL, in their order; the same URLs always give the same plan.

    URLs that differ only in what does not reach the server, such as the fragment, share one job.

    Example:
        >>> [entry.name for entry in plan(["http://a.example/x.txt", "http://b.example/X.txt"])]
        ['x.txt', 'X-2.txt']
        >>> plan(["ftp://a.example/x"])[0].reason
        "cannot fetch 'ftp' URLs, only http and https"
    """
    names = Names()
    jobs: dict[URL, Job] = {}
    return tuple(_entry(url, names, jobs) for url in urls)


def _entry(url: str, names: Names, jobs: dict[URL, Job]) -> Entry:
    shown = url_without_credentials(url)
    try:
        parsed = _parse(url)
    except ValueError as error:
        return Rejected(shown, str(error))
    if parsed not in jobs:
        host = f"{parsed.host}:{parsed.port}"
        jobs[parsed] = Job(shown, host, names.claim(name_in(parsed.raw_path)), parsed)
    return jobs[parsed]


def _parse(url: str) -> URL:
    """Return the URL that is requested, in one form.

    Raises:
        ValueError: it cannot be; the message is the reason.
    """
    if _UNFIT.search(url):
        raise ValueError("no URL: it has spaces or control characters in it; percent-encode them")
    try:
        parsed = URL(url).with_fragment(None)
    except ValueError as error:
        if "@" in url:  # what it quotes as the host or the port may be a part of the password
            raise ValueError("no URL: the host or the port in it is not valid") from None
        raise ValueError(str(error)) from None
    if parsed.scheme not in ("http", "https"):
        raise ValueError(_scheme_problem(url, parsed.scheme))
    if not parsed.host:
        raise ValueError("no URL: there is no host in it")
    _check_host(parsed.host)
    return parsed.with_port(None) if parsed.is_default_port() else parsed


def _check_host(host: str) -> None:
    """Check what a lookup checks first: no label of the name is empty or too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("no URL: the host in it is not a valid name") from None


def _scheme_problem(url: str, scheme: str) -> str:
    # Without the slashes it may be the user's name, as in "ann:password@host".
    if not url.lower().startswith(f"{scheme}://"):
        return "no URL: it does not begin with http:// or https://"
    return f"cannot fetch {scheme!r} URLs, only http and https"
