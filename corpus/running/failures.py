"""Why a case could not be audited."""

from __future__ import annotations

from typing import final


@final
class MissingError(Exception):
    """An interpreter or a server is not on this machine: what needs it is skipped with a word."""


@final
class PreparationError(Exception):
    """A package could not be installed, or a server did not start: the case has failed."""
