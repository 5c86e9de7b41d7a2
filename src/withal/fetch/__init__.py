"""URLs downloaded into files, many side by side. Needs the extra ``withal[http]``."""

from __future__ import annotations

try:
    from withal.fetch.batch import failed_requests, fetch, fetch_each
except ImportError as _error:
    if "aiohttp" not in (_error.name, getattr(_error.__cause__, "name", None)):
        raise
    raise ImportError(
        'withal.fetch needs aiohttp, which is not installed: pip install "withal[http]"'
    ) from _error

from withal.fetch.cluster.cluster import on_ray
from withal.fetch.options import FetchOptions, OnExists, TransportName
from withal.fetch.plan import Layout
from withal.fetch.report import (
    FetchError,
    OnProgress,
    Progress,
    ProgressKind,
    Report,
    Result,
)
from withal.fetch.requests.request import Request
from withal.fetch.requests.request_file import RequestFile
from withal.fetch.requests.request_lines import RequestLineError

__all__ = [
    "FetchError",
    "FetchOptions",
    "Layout",
    "OnExists",
    "OnProgress",
    "Progress",
    "ProgressKind",
    "Report",
    "Request",
    "RequestFile",
    "RequestLineError",
    "Result",
    "TransportName",
    "failed_requests",
    "fetch",
    "fetch_each",
    "on_ray",
]
