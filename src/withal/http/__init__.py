"""HTTP: aiohttp's own client session, set up for downloading. Needs the extra ``withal[http]``."""

from __future__ import annotations

try:
    from withal.http.session import session
except ModuleNotFoundError as _error:
    if _error.name != "aiohttp":
        raise
    raise ImportError(
        'withal.http needs aiohttp, which is not installed: pip install "withal[http]"'
    ) from _error

from withal.http.gate import GateStatistics, HostGate
from withal.http.public import NotPublicError, is_public
from withal.http.retry import RetryPolicy

__all__ = [
    "GateStatistics",
    "HostGate",
    "NotPublicError",
    "RetryPolicy",
    "is_public",
    "session",
]
