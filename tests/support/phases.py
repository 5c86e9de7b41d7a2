"""Checks each change of a phase against the table of the lifecycle, while a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from withal._core.lifecycle import TRANSITIONS, Phase, ResourcePhase, ScopePhase

Transitions: TypeAlias = set[tuple[Phase, Phase]]
AnyPhase: TypeAlias = ResourcePhase | ScopePhase


class _CheckedPhase:
    """Stands in place of the attribute `phase`; raises for a transition not in the table."""

    def __init__(self, seen: Transitions) -> None:
        self._seen = seen
        self._phases: dict[AnyPhase, Phase] = {}

    def __get__(self, owner: AnyPhase, _: type[AnyPhase]) -> Phase:
        return self._phases[owner]

    def __set__(self, owner: AnyPhase, phase: Phase) -> None:
        before = self._phases.get(owner)
        if before is not None:
            if phase not in TRANSITIONS[before]:
                raise AssertionError(f"{owner!r} is {before.value}; it cannot become {phase.value}")
            self._seen.add((before, phase))
        self._phases[owner] = phase


@contextmanager
def checked_phases() -> Iterator[Transitions]:
    """Check all phases of what is made in the ``with`` block; yield the transitions so far."""
    seen: Transitions = set()
    slot = vars(ScopePhase)["phase"]
    ResourcePhase.phase = _CheckedPhase(seen)  # type: ignore[assignment]
    ScopePhase.phase = _CheckedPhase(seen)  # type: ignore[assignment,misc]
    try:
        yield seen
    finally:
        del ResourcePhase.phase
        ScopePhase.phase = slot  # type: ignore[misc]
