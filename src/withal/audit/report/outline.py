"""The outline of a report: the attempts at each suspension, grouped by site, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import final

from withal.audit.report.locations import Location, Places
from withal.audit.report.record import (
    WORST_FIRST,
    Attempt,
    AuditRecord,
    Delivery,
    Finding,
    Suspension,
)

_RANKS = {category: rank for rank, category in enumerate(WORST_FIRST)}
_UNRESOLVED, _SAFE, _UNTRIED = range(len(WORST_FIRST), len(WORST_FIRST) + 3)


@final
@dataclass(frozen=True, slots=True)
class OutlinePoint:
    """A suspension, and the attempts there, one for each delivery that was tried.

    Attributes:
        label: the beginning of the addresses of its attempts, such as ``"3"`` or ``"3+2"``.
        suspension: the suspension of the last cancellation.
        after: the suspensions of the earlier cancellations.
        attempts: the attempts, by delivery.
    """

    label: str
    suspension: Suspension
    after: tuple[Suspension, ...]
    attempts: Mapping[Delivery, Attempt]

    @property
    def rank(self) -> int:
        """How bad it is; the smaller, the worse."""
        return min(map(rank, self.attempts.values()), default=_UNTRIED)


@final
@dataclass(frozen=True, slots=True)
class SiteOutline:
    """The points at one place, the worst first."""

    place: Location
    points: tuple[OutlinePoint, ...]

    @property
    def attempts(self) -> Iterator[Attempt]:
        """The attempts there, the worst point first."""
        return (attempt for point in self.points for attempt in point.attempts.values())

    @property
    def findings(self) -> list[Finding]:
        """The findings there, the worst first."""
        return worst_first(chain.from_iterable(attempt.findings for attempt in self.attempts))


def rank(attempt: Attempt) -> int:
    """Return how bad an attempt is; the smaller, the worse."""
    if attempt.findings:
        return min(_RANKS[finding.category] for finding in attempt.findings)
    return _UNRESOLVED if attempt.unresolved else _SAFE


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings sorted by category, the worst first; the order within each is kept."""
    return sorted(findings, key=lambda finding: _RANKS[finding.category])


def outline(record: AuditRecord, places: Places) -> tuple[SiteOutline, ...]:
    """Return the points of a record by site, including those not tried, the worst sites first.

    Of equally bad sites, the one with more unsafe attempts is first, and then the one that the
    scenario reaches first.
    """
    by_place: dict[Location, list[OutlinePoint]] = {}
    for place, point in _points(record, places):
        by_place.setdefault(place, []).append(point)
    sites = [
        SiteOutline(place, tuple(sorted(points, key=lambda point: point.rank)))
        for place, points in by_place.items()
    ]
    return tuple(sorted(sites, key=_badness))


def _points(record: AuditRecord, places: Places) -> Iterator[tuple[Location, OutlinePoint]]:
    untried = {str(each.ordinal): each for each in record.suspensions}
    tried: dict[tuple[str, Location], dict[Delivery, Attempt]] = {}
    for attempt in record.attempts:
        label = attempt.address.removesuffix(f":{attempt.delivery}")
        untried.pop(label, None)
        key = label, places.of(attempt.suspension.site)
        tried.setdefault(key, {})[attempt.delivery] = attempt
    for (label, place), attempts in tried.items():
        any_of_them = next(iter(attempts.values()))
        yield place, OutlinePoint(label, any_of_them.suspension, any_of_them.after, attempts)
    for label, suspension in untried.items():
        yield places.of(suspension.site), OutlinePoint(label, suspension, (), {})


def _badness(site: SiteOutline) -> tuple[int, int]:
    wrong = sum(1 for attempt in site.attempts if attempt.findings)
    return site.points[0].rank, -wrong
