"""A case: a scenario of withal's own, and the public names that it audits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal.audit.scenario import Run, Scenario, Setup


@final
@dataclass(frozen=True, slots=True)
class Case:
    """One line of the tables.

    Attributes:
        scenario: what is audited.
        covers: the public names that it uses, such as ``"withal.files.open"``.
        deep: whether a second cancellation comes to the same place in every run.
        missing: what it needs and is missing here; empty if nothing is.
    """

    scenario: Scenario
    covers: tuple[str, ...]
    deep: bool
    missing: str = ""


def case(
    name: str,
    run: Run,
    *covers: str,
    setup: Setup | None = None,
    probe: Run | None = None,
    deep: bool = True,
) -> Case:
    """Return a case; the names are without ``withal.``."""
    return Case(Scenario(run, setup, probe, name), tuple(f"withal.{each}" for each in covers), deep)
