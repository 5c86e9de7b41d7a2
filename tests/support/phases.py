"""Checks each change of a phase against the table of the lifecycle, while a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from withal._core.lifecycle import TRANSITIONS, HasPhase, Phase

Transitions = set[tuple[Phase, Phase]]


class _CheckedPhase:
    """Stands in place of the class attribute `phase`; raises for a transition not in the table.

    Args:
        first: the phase of an object that has not changed it yet.
        seen: the set to which each transition is added.
    """

    def __init__(self, first: Phase, seen: Transitions) -> None:
        self._first = first
        self._seen = seen

    def __get__(self, owner: HasPhase, _: type[HasPhase]) -> Phase:
        phase: Phase = owner.__dict__.get("phase", self._first)
        return phase

    def __set__(self, owner: HasPhase, phase: Phase) -> None:
        before = owner.phase
        if phase not in TRANSITIONS[before]:
            raise AssertionError(f"{owner!r} is {before.value}; it cannot become {phase.value}")
        self._seen.add((before, phase))
        owner.__dict__["phase"] = phase


@contextmanager
def checked_phases() -> Iterator[Transitions]:
    """Check all phases inside of the ``with`` block; yield the transitions so far."""
    seen: Transitions = set()
    first: dict[type[HasPhase], Phase] = {}
    classes: list[type[HasPhase]] = [HasPhase]
    for cls in classes:
        classes += cls.__subclasses__()
        if "phase" in vars(cls):
            first[cls] = cls.phase
    for cls, phase in first.items():
        cls.phase = _CheckedPhase(phase, seen)  # type: ignore[assignment]
    try:
        yield seen
    finally:
        for cls, phase in first.items():
            cls.phase = phase
