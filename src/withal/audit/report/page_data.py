"""The data of the HTML report, as JSON: `report.js` is its only reader.

Ten thousand attempts have few distinct stacks and texts. Each of these is stored once and
referenced by its index, so that the page stays small and is parsed in milliseconds.
"""

from __future__ import annotations

from typing import Final, NotRequired, TypedDict, TypeVar, final

from withal._core.printable import printable
from withal.audit.report import messages as words
from withal.audit.report.locations import Location, Places
from withal.audit.report.outline import OutlinePoint, SiteOutline, outline, worst_first
from withal.audit.report.record import (
    WORST_FIRST,
    Attempt,
    AuditRecord,
    Delivery,
    Finding,
    Suspension,
)

_ADDRESS: Final = "\0"

_Key = TypeVar("_Key")


class _Frame(TypedDict):
    file: int
    line: int
    function: int
    source: int


class _Suspended(TypedDict):
    ordinal: int
    task: int
    awaited: int
    chain: list[int]


class _Found(TypedDict):
    category: int
    evidence: int
    detail: int


class _Cell(TypedDict):
    verdict: str
    outcome: int
    findings: NotRequired[list[_Found]]
    unresolved: NotRequired[int]
    detail: NotRequired[int]


class _Row(TypedDict):
    label: str
    suspension: int
    after: list[int]
    cells: list[_Cell | None]


class _Site(TypedDict):
    frame: int
    points: list[_Row]


class _Column(TypedDict):
    name: str
    how: str


class PageData(TypedDict):
    """What the script reads: strings, frames and suspensions are named by index."""

    sites: list[_Site]
    deliveries: list[_Column]
    categories: list[str]
    replay: list[str]
    strings: list[str]
    frames: list[_Frame]
    suspensions: list[_Suspended]


def page_data(record: AuditRecord) -> PageData:
    """Return the data, all texts of which can be printed."""
    return _Interning().data(record)


@final
class _Interning:
    """Creates the data of one record; it keeps the index of each text, frame and suspension."""

    def __init__(self) -> None:
        self._places = Places()
        self._strings: dict[str, int] = {}
        self._frames: dict[Location, int] = {}
        self._suspensions: dict[tuple[int, str, str, tuple[int, ...]], int] = {}

    def data(self, record: AuditRecord) -> PageData:
        """Return all data for the script."""
        tried = {attempt.delivery for attempt in record.attempts}
        columns = [each for each in Delivery if each in tried or each in record.deliveries]
        return {
            "sites": [self._site(each, columns) for each in outline(record, self._places)],
            "deliveries": [{"name": each, "how": words.HOW[each]} for each in columns],
            "categories": list(WORST_FIRST),
            "replay": _around_the_address(record),
            # These are filled by the entries above, so they come last.
            "suspensions": [self._suspended(key) for key in self._suspensions],
            "frames": [self._frame(place) for place in self._frames],
            "strings": list(self._strings),
        }

    def _site(self, site: SiteOutline, columns: list[Delivery]) -> _Site:
        return {
            "frame": _index(self._frames, site.place),
            "points": [self._row(point, columns) for point in site.points],
        }

    def _row(self, point: OutlinePoint, columns: list[Delivery]) -> _Row:
        attempts = [point.attempts.get(each) for each in columns]
        return {
            "label": printable(point.label),
            "suspension": self._suspension(point.suspension),
            "after": [self._suspension(each) for each in point.after],
            "cells": [each and self._cell(each) for each in attempts],
        }

    def _cell(self, attempt: Attempt) -> _Cell:
        cell: _Cell = {"verdict": attempt.verdict, "outcome": self._line(attempt.outcome)}
        if findings := (*worst_first(attempt.findings), *attempt.excused):
            cell["findings"] = [self._found(each) for each in findings]
        if attempt.unresolved:
            cell["unresolved"] = self._lines(attempt.unresolved)
        if attempt.detail:
            cell["detail"] = self._lines(attempt.detail)
        return cell

    def _found(self, finding: Finding) -> _Found:
        return {
            "category": WORST_FIRST.index(finding.category),
            "evidence": self._line(
                words.describe_finding(finding) + (f": {finding.excuse}" if finding.excuse else "")
            ),
            "detail": self._lines(finding.detail),
        }

    def _suspension(self, suspension: Suspension) -> int:
        chain = tuple(_index(self._frames, self._places.of(each)) for each in suspension.chain)
        key = suspension.ordinal, suspension.task, suspension.awaited, chain
        return _index(self._suspensions, key)

    def _suspended(self, key: tuple[int, str, str, tuple[int, ...]]) -> _Suspended:
        ordinal, task, awaited, chain = key
        return {
            "ordinal": ordinal,
            "task": self._line(task),
            "awaited": self._line(awaited),
            "chain": list(chain),
        }

    def _frame(self, place: Location) -> _Frame:
        return {
            "file": self._line(place.shown),
            "line": place.line,
            "function": self._line(place.function),
            "source": self._line(place.source),
        }

    def _line(self, text: str) -> int:
        return _index(self._strings, printable(self._places.shorten(text)))

    def _lines(self, text: str) -> int:
        return _index(self._strings, "\n".join(words.printable_lines(self._places.shorten(text))))


def _around_the_address(record: AuditRecord) -> list[str]:
    """Return the parts of the replay command before and after the address of an attempt."""
    before, _, behind = record.replay(_ADDRESS).rpartition(_ADDRESS)
    return [printable(before), printable(behind)]


def _index(indexes: dict[_Key, int], key: _Key) -> int:
    return indexes.setdefault(key, len(indexes))
