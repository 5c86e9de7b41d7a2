"""Removing credentials (users and passwords) from URLs, and from text that has URLs in it.

Only this module decides what is removed: all before the ``@`` of a URL, since a user name alone
may be an access token. Secrets in paths and query parameters cannot be recognized, and stay.
"""

from __future__ import annotations

import re

_START = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_AUTHORITY = re.compile(r"[^/?#]*")
# An authority without credentials: a host, in brackets or not, and a port.
_HOST = re.compile(r"(?:\[[^\s@\[\]]+\]|[^\s@:\[\]]+)(?::\d{0,5})?")
# In text, a URL ends at white space or a quote. A ``:`` after the user that does not begin a port
# begins a password, which may contain any character. The bound of 400 keeps the search linear.
_IN_TEXT = re.compile(
    r"(?<=://)(?:[^\s/?#\"'<>]*|[^\s/?#@:\[\"'<>]+:(?!\d{0,5}(?:[/?#\"'<>]|$))\S{0,400})@"
)


def text_without_credentials(text: str) -> str:
    """Return a text with user and password left out of each URL in it.

    Example:
        >>> text_without_credentials("cannot connect to 'postgresql://ann:s3cret@host.example/db'")
        "cannot connect to 'postgresql://host.example/db'"
    """
    return _IN_TEXT.sub("", text) if "@" in text else text


def url_without_credentials(url: str) -> str:
    """Return a URL, which may be malformed, without user and password.

    From a malformed one all before the last ``@`` is removed: a password may contain any
    character that should have been percent-encoded.

    Example:
        >>> url_without_credentials("http://ann:s3cret@host.example/@home?at=@")
        'http://host.example/@home?at=@'
        >>> url_without_credentials("http://ann:s3/cret@host.example/")
        'http://host.example/'
        >>> url_without_credentials("ann:s3cret@host.example/")
        'host.example/'
    """
    if "@" not in url:
        return url
    start = _START.match(url)
    begin = start.end() if start else 0
    authority = _AUTHORITY.match(url, begin)
    assert authority is not None  # it may be empty
    _, at, host = authority[0].rpartition("@")
    if start and _HOST.fullmatch(host):
        rest = host + url[authority.end() :]
    elif start or at or ":" in url.rpartition("@")[0]:
        rest = url[begin:].rpartition("@")[2]
    else:
        return url
    return text_without_credentials(url[:begin] + rest)
