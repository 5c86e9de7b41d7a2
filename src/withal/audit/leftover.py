"""One thing that a run has left behind, or that is wrong with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import final

from withal.audit.report.record import Category


@final
@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that is there.

    Attributes:
        category: what sort of thing.
        kind: what it is counted as.
        evidence: what it is, in a line.
        detail: more of it, in several lines.
        known_as: what a warning calls it once it is collected.
    """

    category: Category
    kind: str
    evidence: str
    detail: str = ""
    known_as: tuple[str, ...] = ()


Counts = Counter[tuple[Category, str]]
"""How many leftovers there are of each category and kind."""
