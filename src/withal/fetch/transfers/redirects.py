"""Checks redirects: their targets, and the headers that are sent there. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from yarl import URL

from withal._core.credentials import url_without_credentials
from withal.fetch.failures import AttemptError, final_failure
from withal.fetch.plan import parsed

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""The statuses of redirects: RFC 9110 section 15.4."""

# Headers that may be sent to another origin. Any other may be a secret.
_HARMLESS = frozenset({"accept", "accept-language", "user-agent", "range", "if-range"})


def redirect_target(current: URL, location: str | None) -> URL:
    """Return the target of a redirect, without user and password.

    Raises:
        AttemptError: if it is missing or invalid, or a change from https to http.
    """
    if not location:
        raise final_failure("the server redirects without a Location header")
    try:
        target = parsed(str(current.join(URL(location))))
    except ValueError:
        shown = url_without_credentials(location)
        raise final_failure(
            f"redirected to {shown}, which is not a valid http or https URL"
        ) from None
    target = target.with_user(None)
    if current.scheme == "https" and target.scheme == "http":
        raise final_failure(f"redirected from https to http, which is not safe: {target}")
    return target


def too_many(limit: int) -> AttemptError:
    """Return the error for a chain of redirects that is too long."""
    return final_failure(f"redirected more than {limit} times")


def carried_over(headers: Mapping[str, str], current: URL, target: URL) -> dict[str, str]:
    """Return the headers to send after a redirect: to another origin, only harmless ones."""
    if current.origin() == target.origin():
        return dict(headers)
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
