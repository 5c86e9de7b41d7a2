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
