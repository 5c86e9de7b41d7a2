"""The values of options that are enumerations."""

from __future__ import annotations

from enum import StrEnum
from typing import final


@final
class Format(StrEnum):
    """The formats of a report."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"
    HTML = "html"
    GITHUB = "github"
    SCRIPT = "script"
    PYTEST = "pytest"


@final
class Loop(StrEnum):
    """The event loops."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


@final
class Layouts(StrEnum):
    """How files are named in their folder; the same as `withal.fetch.Layout`, without aiohttp."""

    FLAT = "flat"
    TREE = "tree"
    HASH = "hash"


@final
class Existing(StrEnum):
    """How existing files are treated; the same as `withal.fetch.OnExists`."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


@final
class Transports(StrEnum):
    """The HTTP client; the same as `withal.fetch.TransportName`."""

    AUTO = "auto"
    AIOHTTP = "aiohttp"
    CURL = "curl"


@final
class RayResults(StrEnum):
    """The formats of the files of results that ``withal fetch --ray`` writes."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@final
class Deliveries(StrEnum):
    """How a cancellation is delivered; as `withal.audit.Delivery`, which takes long to import."""

    EARLY = "early"
    LATE = "late"
    ANYIO = "anyio"
    TIMEOUT = "timeout"
    ERROR = "error"
    ORDER = "order"


AUDIT_TIMEOUT_SECONDS = 5.0
"""Seconds for one attempt of an audit; as the audit's own default."""
