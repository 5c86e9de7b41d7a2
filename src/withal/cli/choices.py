"""Choices: what some options can be set to."""

from __future__ import annotations

from enum import StrEnum
from typing import final


@final
class Format(StrEnum):
    """The forms of a report."""

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
    """How files are laid out in their folder; as `withal.fetch.Layout`, which needs aiohttp."""

    FLAT = "flat"
    TREE = "tree"
    HASH = "hash"


@final
class Existing(StrEnum):
    """What is done about files that exist; as `withal.fetch.OnExists`."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


@final
class Transports(StrEnum):
    """What speaks to servers; as `withal.fetch.TransportName`."""

    AUTO = "auto"
    AIOHTTP = "aiohttp"
    CURL = "curl"
