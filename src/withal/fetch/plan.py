"""Decides which URL is fetched to which file, one request at a time. Pure.

A layout maps URLs to names. The result depends only on the requests and their order.
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
from withal.fetch.requests.request import Request

# Spaces and control characters. urllib and yarl remove or encode them, but in a list of URLs they
# are a sign of a malformed line.
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


@final
class Layout(StrEnum):
    """How the files of a batch are laid out in their folder."""

    FLAT = "flat"  # the last part of the URL's path
    TREE = "tree"  # host/path, as the server has them
    HASH = "hash"  # the URL's SHA-256 digest, in folders of two digits


@final
class ChosenPath(str):
    """A path from the command line, not from a list: it is used unchanged."""

    __slots__ = ()


@final
@dataclass(slots=True)  # not frozen: that makes it three times as expensive
class Job:
    """One file to fetch. It is not changed.

    Attributes:
        url: as it was given, without user and password, for messages.
        host: the host and port of the URL, normalized.
        name: the path of the file below the folder: safe and unique.
        target: the URL that is requested, without user and password.
        key: identifies the URL in the journal.
        authorization: the header with user and password.
        headers: additional headers.
        sha256: the expected digest.
        size: the expected length.
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
    """Decides for each request which job it is.

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
        """Return the job for a request, or why there is none, or None for a repetition.

        The number before it is the same for a request and its repetitions.

        URLs that differ only in the fragment, which is not sent, are equal.
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
        if "@" in whole and (target.user is not None or target.password is not None):
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
                problem = f"another request already has the path {path!r}"
            return Rejected(url_without_credentials(request.url), problem) if problem else path
        if self._layout is Layout.HASH:
            return _hash_path(target, whole)
        return self._names.claim(
            _tree_path(target) if self._layout is Layout.TREE else name_in(target.raw_path)
        )


def _path_problem(path: str) -> str:
    """Return why a requested path is invalid; empty if it is valid."""
    if isinstance(path, ChosenPath):
        return ""
    for part in path.split("/"):
        safe = safe_name(part)
        if part != safe:
            return f"{path!r} is not a safe path below the folder: use {safe!r} instead of {part!r}"
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
    """Return the ``Authorization`` header (RFC 7617) for the user and the password of a URL."""
    pair = f"{target.user or ''}:{target.password or ''}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def parsed(url: str) -> URL:
    """Return the URL that is requested, normalized.

    Raises:
        ValueError: if it cannot be requested; the message is the reason.
    """
    if _UNFIT.search(url):
        raise ValueError(
            "not a valid URL: it contains spaces or control characters; percent-encode them"
        )
    try:
        target = URL(url)
    except ValueError as error:
        if "@" in url:  # the error may quote a part of the password
            raise ValueError("not a valid URL: its host or its port is invalid") from None
        raise ValueError(f"not a valid URL: {error}") from None
    if target.raw_fragment:
        target = target.with_fragment(None)
    scheme = target.scheme
    if scheme not in ("http", "https"):
        raise ValueError(_scheme_problem(url, scheme))
    host = target.host
    if not host:
        raise ValueError("not a valid URL: it has no host")
    if not _is_host(host):
        raise ValueError("not a valid URL: its host is not a valid name")
    if target.explicit_port is not None and target.is_default_port():
        return target.with_port(None)
    return target


@lru_cache(1024)
def _is_host(host: str) -> bool:
    """Return whether no label of a host name is empty or too long, as a lookup checks first."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _scheme_problem(url: str, scheme: str) -> str:
    # Without slashes, the part before the colon may be a user, as in "ann:password@host".
    if not url.lower().startswith(f"{scheme}://"):
        return "not a valid URL: it does not begin with http:// or https://"
    return f"cannot fetch {scheme!r} URLs, only http and https"
