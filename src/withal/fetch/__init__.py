"""URLs downloaded into files, many side by side. Needs the extra ``withal[http]``."""

from __future__ import annotations

try:
    from withal.fetch.batch import fetch
except ModuleNotFoundError as error:
    if error.name != "aiohttp":
        raise
    raise ImportError(
        'withal.fetch needs aiohttp, which is not installed: pip install "withal[http]"'
    ) from error

from withal.fetch.options import FetchOptions
from withal.fetch.report import (
    FetchError,
    OnProgress,
    Progress,
    ProgressKind,
    Report,
    Result,
)

__all__ = [
    "FetchError",
    "FetchOptions",
    "OnProgress",
    "Progress",
    "ProgressKind",
    "Report",
    "Result",
    "fetch",
]
