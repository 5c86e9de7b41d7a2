"""What is to be fetched into which file, decided request by request. Pure.

URLs lead to names by a layout, and a plan is the same each time: it depends on nothing but the
requests and their order.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias, final
from urllib.parse import unquote

from yarl import URL

from withal._core.credentials import url_without_credentials
from withal.fetch.fingerprints import FingerprintSet, fingerprint
from withal.fetch.names import FALLBACK, Names, ending_of, name_in, safe_name
from withal.fetch.request import Request

# Spaces and control characters. urllib and yarl drop or encode them, but in a list of URLs they
# are the trace of a broken line.
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


@final
class Layout(StrEnum):
    """How the files of a batch are laid out in their folder."""

    FLAT = "flat"  # the last part of the URL's path
    TREE = "tree"  # host/path, as the server has them
    HASH = "hash"  # the URL's SHA-256 digest, in folders of two digits


@final
class ChosenPath(str):
    """A path that a person has chosen, not a list from elsewhere: it is taken as it is."""

    __slots__ = ()


@final
@dataclass(slots=True)  # not frozen: that makes it three times as expensive
class Job:
    """One file to fetch. It is not changed.

    Attributes:
        url: as it was given, without user and password. This is what is shown.
        host: the host and port to fetch from, in one form for all jobs.
        name: the path of the file below the folder: safe, and no other job's.
        target: what is requested, without user and password.
        key: stands for the URL as it was given, in the journal.
        authorization: the header that user and password make.
        headers: what is sent besides.
        sha256: what the file must have.
        size: what it must have.
    """

    url: str
    host: str
    name: str
    target: URL = field(repr=False)
    key: int = field(default=0, repr=False, compare=False)
    authorization: str | None = field(default=None, repr=False, compare=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False, compare=False)
    sha256: str | None = field(default=None, repr=False)
    size: int | None = field(default=None, repr=False)


@final
@dataclass(frozen=True, slots=True)
class Rejected:
    """A URL that cannot be fetched, without user and password, and why."""

    url: str
    reason: str


Planned: TypeAlias = Job | Rejected


@final
class Planner:
    """Says of each request what is to be done about it.

    Example:
        >>> planner = Planner()
        >>> for url in "http://a.example/x.txt", "http://b.example/X.txt", "http://a.example/x.txt":
        ...     _, entry = planner.place(Request(url))
        ...     print(entry and entry.name)
        x.txt
        X-2.txt
        None
        >>> planner.place(Request("ftp://a.example/x"))[1].reason
        "cannot fetch 'ftp' URLs, only http and https"
    """

    def __init__(self, layout: Layout = Layout.FLAT) -> None:
        self._layout = layout
        self._names = Names()
        self._seen = FingerprintSet()

    def place(self, request: Request) -> tuple[int, Planned | None]:
        """Return the job that a request is, or why there is none, or None for a repetition.

        The number before it is the same for a request and its repetitions.

        URLs that differ only in what does not reach the server, such as the fragment, are one.
        """
        shown = url_without_credentials(request.url)
        try:
            target = parsed(request.url)
        except ValueError as error:
            return fingerprint(request.url), Rejected(shown, str(error))
        whole = str(target)
        key = fingerprint(whole)
        seen = key if request.path is None else fingerprint(f"{whole} {request.path}")
        if not self._seen.add(seen):
            return seen, None
        name = self._name(request, target, whole)
        if isinstance(name, Rejected):
            return seen, name
        host = f"{target.host}:{target.port}"
        authorization = None
        if target.user is not None or target.password is not None:
            authorization = _basic(target)
            target = target.with_user(None)
        return seen, Job(
            shown,
            host,
            name,
            target,
            key,
            authorization,
            request.headers,
            request.sha256,
            request.size,
        )

    def _name(self, request: Request, target: URL, whole: str) -> str | Rejected:
        path = request.path
        if path is not None:
            problem = _path_problem(path)
            if not problem and not self._names.claim_exactly(path):
                problem = f"another request has the path {path!r} already"
            return Rejected(url_without_credentials(request.url), problem) if problem else path
        if self._layout is Layout.HASH:
            return _hash_path(target, whole)
        return self._names.claim(
            _tree_path(target) if self._layout is Layout.TREE else name_in(target.raw_path)
        )


def _path_problem(path: str) -> str:
    """Say why a path that was asked for is not one, or return an empty text."""
    if isinstance(path, ChosenPath):
        return ""
    for part in path.split("/"):
        safe = safe_name(part)
        if part != safe:
            return f"{path!r} is not a safe path below the folder: instead of {part!r}, {safe!r} is"
    return ""


def _tree_path(target: URL) -> str:
    port = "" if target.is_default_port() else f"_{target.port}"
    *folders, name = target.raw_path.lstrip("/").split("/")
    parts = [f"{target.host}{port}", *(unquote(each) for each in folders if each)]
    return "/".join([*map(safe_name, parts), safe_name(unquote(name)) if name else FALLBACK])


def _hash_path(target: URL, whole: str) -> str:
    digest = sha256(whole.encode()).hexdigest()
    return f"{digest[:2]}/{digest[2:]}{ending_of(name_in(target.raw_path))}"


def _basic(target: URL) -> str:
    """Return the header of RFC 7617 for the user and the password of a URL."""
    pair = f"{target.user or ''}:{target.password or ''}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def parsed(url: str) -> URL:
    """Return the URL that is requested, in one form.

    Raises:
        ValueError: it cannot be; the message is the reason.
    """
    if _UNFIT.search(url):
        raise ValueError("no URL: it has spaces or control characters in it; percent-encode them")
    try:
        target = URL(url)
    except ValueError as error:
        if "@" in url:  # what it quotes as the host or the port may be a part of the password
            raise ValueError("no URL: the host or the port in it is not valid") from None
        raise ValueError(str(error)) from None
    if target.raw_fragment:
        target = target.with_fragment(None)
    scheme = target.scheme
    if scheme not in ("http", "https"):
        raise ValueError(_scheme_problem(url, scheme))
    host = target.host
    if not host:
        raise ValueError("no URL: there is no host in it")
    if not _is_host(host):
        raise ValueError("no URL: the host in it is not a valid name")
    if target.explicit_port is not None and target.is_default_port():
        return target.with_port(None)
    return target


@lru_cache(1024)
def _is_host(host: str) -> bool:
    """Check what a lookup checks first: no label of the name is empty or too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _scheme_problem(url: str, scheme: str) -> str:
    # Without the slashes it may be the user's name, as in "ann:password@host".
    if not url.lower().startswith(f"{scheme}://"):
        return "no URL: it does not begin with http:// or https://"
    return f"cannot fetch {scheme!r} URLs, only http and https"
