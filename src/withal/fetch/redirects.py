"""Where an answer may lead, and what goes along. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from yarl import URL

from withal._core.credentials import url_without_credentials
from withal.fetch.failures import AttemptError, final_failure
from withal.fetch.plan import parsed

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""The statuses that lead elsewhere: RFC 9110 section 15.4."""

# What may go to another origin. Whatever else a user sends may be a secret.
_HARMLESS = frozenset({"accept", "accept-language", "user-agent", "range", "if-range"})


def next_hop(current: URL, location: str | None) -> URL:
    """Return the URL that a redirect leads to, without user and password.

    Raises:
        AttemptError: it leads nowhere, or from https to http.
    """
    if not location:
        raise final_failure("the server redirects, and does not say where to")
    try:
        target = parsed(str(current.join(URL(location))))
    except ValueError:
        where = url_without_credentials(location)
        raise final_failure(
            f"redirected to {where}, which is not a valid http or https URL"
        ) from None
    target = target.with_user(None)
    if current.scheme == "https" and target.scheme == "http":
        raise final_failure(f"redirected from https to http, which is not safe: {target}")
    return target


def too_many(limit: int) -> AttemptError:
    """Return the error for a chain of redirects that is too long."""
    return final_failure(f"redirected more than {limit} times")


def carried_over(headers: Mapping[str, str], current: URL, target: URL) -> dict[str, str]:
    """Return which headers are sent with the next hop: to another origin, only harmless ones."""
    if current.origin() == target.origin():
        return dict(headers)
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
