"""A leftover: a resource that a run has left behind, or another problem of the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import final

from withal.audit.report.record import Category


@final
@dataclass(frozen=True, slots=True)
class Leftover:
    """One leftover.

    Attributes:
        category: its category.
        kind: its kind; leftovers are counted by category and kind.
        evidence: its description, in one line.
        detail: further details, in several lines.
        known_as: texts by which a warning names it when it is collected.
    """

    category: Category
    kind: str
    evidence: str
    detail: str = ""
    known_as: tuple[str, ...] = ()


Counts = Counter[tuple[Category, str]]
"""The number of leftovers of each category and kind."""
