"""When a failed attempt is worth another. Pure."""

from __future__ import annotations

import socket

import aiohttp

from withal.fetch.failures import BadStatusError, WrongLengthError
from withal.http.retry import TRANSIENT_STATUSES

# Kinds of connection error that the next connection would meet again.
_LASTING = (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)
_TRANSIENT = (
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    ConnectionError,
    TimeoutError,
    WrongLengthError,
)


def is_transient(error: Exception) -> bool:
    """Tell whether the same request may succeed if it is made again."""
    if isinstance(error, BadStatusError):
        return error.status in TRANSIENT_STATUSES
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # A name that does not exist will not exist in a second either.
        return error.os_error.errno == socket.EAI_AGAIN
    return isinstance(error, _TRANSIENT) and not isinstance(error, _LASTING)
