"""A request: one URL, and the expected properties of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from withal._core.credentials import url_without_credentials

_SHA256 = re.compile(r"[0-9a-f]{64}")
# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


@final
@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One file to fetch. Its ``repr`` shows neither passwords nor headers.

    Attributes:
        url: http or https, with user and password if it needs them.
        path: the path of the file below the folder, with ``/`` between its parts; None for a
            name that is made from the URL.
        sha256: the expected SHA-256 digest, in hexadecimal.
        size: the expected length in bytes.
        headers: sent with the request, but not to other hosts after a redirect.

    Raises:
        ValueError: if the digest is not a SHA-256 digest, the size is negative, or a header cannot
            be sent.

    Example:
        >>> Request("https://ann:s3cret@host.example/a.csv", path="2026/a.csv", size=120)
        Request('https://host.example/a.csv', path='2026/a.csv', size=120)
    """

    url: str
    path: str | None = None
    sha256: str | None = None
    size: int | None = None
    headers: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None:
            object.__setattr__(self, "sha256", checked_digest(self.sha256))
        if self.size is not None and self.size < 0:
            raise ValueError(f"size must be 0 or more bytes, not {self.size}")
        if self.headers is not None:
            check_headers(self.headers)

    def __repr__(self) -> str:
        known = {"path": self.path, "sha256": self.sha256, "size": self.size}
        rest = "".join(f", {name}={value!r}" for name, value in known.items() if value is not None)
        return f"Request({url_without_credentials(self.url)!r}{rest})"


def checked_digest(text: str) -> str:
    """Return a normalized digest, from one with or without the prefix ``sha256:``.

    Raises:
        ValueError: if it is not a SHA-256 digest.
    """
    digest = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{text!r} is not a SHA-256 digest; it needs 64 hexadecimal digits")
    return digest


def check_headers(headers: Mapping[str, str]) -> None:
    """Check that headers can be sent; a line end in one would start another.

    Raises:
        ValueError: if one cannot be sent. The message does not contain its value.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid name of a header")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name!r} contains control characters")
