"""HTTP: aiohttp's own client session, set up for downloading. Needs the extra ``withal[http]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from withal._core.facade import deferred, require_installed
from withal.http.gate import GateStatistics, HostGate
from withal.http.public import NotPublicError, is_public
from withal.http.retry import RetryPolicy

if TYPE_CHECKING:
    from withal.http.client_session import session

__all__ = [
    "GateStatistics",
    "HostGate",
    "NotPublicError",
    "RetryPolicy",
    "is_public",
    "session",
]

_HOMES = {"session": "withal.http.client_session"}

if not TYPE_CHECKING:  # or type checkers would accept any name
    require_installed(__name__, "aiohttp", extra="http")
    __getattr__, __dir__ = deferred(__name__, _HOMES)
