"""Parses the headers of a response that describe its body. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import final

from withal.fetch.disk.journal import Validator

_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})", re.ASCII)
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
# A date is a strong validator if it is so old that the file cannot have changed twice within that
# second: https://www.rfc-editor.org/rfc/rfc9110.html#section-8.8.2.2. A minute allows for a
# difference between two clocks.
_SETTLED_SECONDS = 60


@final
@dataclass(frozen=True, slots=True)
class ContentRange:
    """The range of a body: from `start` to `end`, exclusive, of `total` bytes."""

    start: int
    end: int
    total: int | None


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the announced length of the body; None if there is none."""
    if "Transfer-Encoding" in headers:
        return None
    text = headers.get("Content-Length", "").strip()
    return int(text) if _LENGTH.fullmatch(text) else None


def content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Return the range of a 206; None if it is missing or invalid.

    Example:
        >>> content_range({"Content-Range": "bytes 5-9/10"})
        ContentRange(start=5, end=10, total=10)
    """
    found = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None:
        return None
    start, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if last < start or (total is not None and last >= total):
        return None
    return ContentRange(start, last + 1, total)


def size_of_unsatisfied(headers: Mapping[str, str]) -> int | None:
    """Return the length of the file from a 416; None if it is missing."""
    found = _UNSATISFIED.fullmatch(headers.get("Content-Range", "").strip())
    return None if found is None else int(found[1])


def strong_validator(headers: Mapping[str, str]) -> Validator | None:
    """Return the strong validator of the file, if it can be continued with one.

    A weak tag identifies equivalent content, not equal bytes. An encoded body is not the file, and
    a server that refuses ranges cannot continue it.

    Example:
        >>> strong_validator({"ETag": '"a"'})
        Validator(header='ETag', value='"a"')
        >>> strong_validator({"ETag": 'W/"a"'})
    """
    if headers.get("Accept-Ranges", "").strip().lower() == "none":
        return None
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return None
    tag = headers.get("ETag", "").strip()
    if tag:
        return Validator("ETag", tag) if _STRONG_TAG.fullmatch(tag) else None
    modified = headers.get("Last-Modified", "").strip()
    if modified and _is_settled(modified, headers.get("Date", "")):
        return Validator("Last-Modified", modified)
    return None


def has_ranges(headers: Mapping[str, str]) -> bool:
    """Return whether the server announces support for ranges.

    Example:
        >>> has_ranges({"Accept-Ranges": "bytes"}), has_ranges({})
        (True, False)
    """
    return headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def _is_settled(modified: str, date: str) -> bool:
    try:
        passed = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):  # invalid dates, or only one of them with a zone
        return False
    return passed.total_seconds() >= _SETTLED_SECONDS


def has_type(headers: Mapping[str, str], pattern: str) -> bool:
    """Return whether the media type of the body matches a pattern with wildcards.

    Example:
        >>> has_type({"Content-Type": "Image/PNG; q=1"}, "image/*")
        True
    """
    given = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return fnmatchcase(given, pattern.strip().lower())
