"""A report as plain text: for a terminal, a log, or the message of an exception."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from withal._core.printable import printable
from withal.audit.normalized_text import without_varying_parts
from withal.audit.report import messages as words
from withal.audit.report.locations import Places, shortened
from withal.audit.report.outline import SiteOutline, outline
from withal.audit.report.record import Attempt, AuditRecord, Finding, Suspension, Verdict


def render(record: AuditRecord) -> str:
    """Return the verdict and the findings: one line for each, by site, the worst first.

    Findings at one site that differ only in random or counted parts share a line, with the
    addresses of the others. Unresolved attempts are listed by reason.

    Example:
        >>> from withal.audit.report.record import AuditRecord, Verdict
        >>> print(render(AuditRecord(scenario="pool", target=None, verdict=Verdict.SAFE)), end="")
        safe: pool: no finding in 0 attempts (0 suspensions; asyncio)
        <BLANKLINE>
        This is evidence for the schedules that were tried, not a proof.
    """
    places = Places()
    blocks = [[words.headline(record), *_indented(words.printable_lines(record.reason))]]
    blocks += [
        list(_site(record, site, places)) for site in outline(record, places) if site.findings
    ]
    blocks.append(list(_unresolved(record)))
    blocks.append(list(_excused(record)))
    blocks.append(list(_expected(record)))
    if record.verdict is Verdict.SAFE:
        blocks.append([words.CAVEAT])
    return _joined(blocks)


def render_points(record: AuditRecord) -> str:
    """Return the numbered suspensions of the scenario: the site and the awaited object of each."""
    places = Places()
    count = words.counted(len(record.suspensions), "suspension")
    title = f"{printable(record.scenario)}: {count} ({words.surroundings(record)})"
    rows = [
        (str(each.ordinal), str(places.of(each.site)), _waiting(each))
        for each in record.suspensions
    ]
    return _joined([[title], _table(rows, right={0})])


def render_attempt(record: AuditRecord, attempt: Attempt) -> str:
    """Return the details of one attempt: its stacks, its outcome and its findings."""
    places = Places()
    title = f"{attempt.verdict}: {printable(record.scenario)} at {printable(attempt.address)}"
    blocks = [[f"{title} ({words.surroundings(record)})"]]
    blocks += [list(_stack("cancelled before that", each, places)) for each in attempt.after]
    blocks.append(list(_stack(words.HOW[attempt.delivery], attempt.suspension, places)))
    blocks.append([f"The scenario then ended: {printable(attempt.outcome)}"])
    if attempt.unresolved:
        blocks.append(["unresolved:", *_indented(words.printable_lines(attempt.unresolved))])
    for finding in (*attempt.findings, *attempt.excused):
        line = f"{finding.category}: {printable(words.describe_finding(finding))}"
        line += f" (not a finding: {finding.excuse})" if finding.excuse else ""
        blocks.append([line, *_indented(words.printable_lines(finding.detail))])
    blocks.append(words.printable_lines(attempt.detail))
    blocks.append([f"replay: {printable(record.replay(attempt.address))}"])
    return _joined(blocks)


def _site(record: AuditRecord, site: SiteOutline, places: Places) -> Iterator[str]:
    yield f"{site.place}{_waits_at(site, places)}"
    folded = list(_folded(site.findings))
    rows = [
        (finding.address, finding.category, words.describe_finding(finding))
        for finding, _ in folded
    ]
    for line, (_, others) in zip(_table(rows), folded, strict=True):
        yield f"  {line}"
        if others:
            also = printable(words.addresses(others))
            yield f"    and {len(others):,} more like it: {also}"
    yield f"  replay: {printable(record.replay(site.findings[0].address))}"


def _waits_at(site: SiteOutline, places: Places) -> str:
    """Return the innermost place, in parentheses, if it is not the site itself."""
    inner = {places.of(each.suspension.innermost) for each in site.findings}
    if len(inner) > 1 or inner == {site.place}:
        return ""
    return f" (waits at {inner.pop()})"


def _folded(findings: Iterable[Finding]) -> Iterator[tuple[Finding, list[str]]]:
    """Yield one of each group of similar findings, and the addresses of the others."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        # The number of runs is ignored, since only the first of similar findings is repeated.
        key = (
            finding.category,
            without_varying_parts(words.describe_finding(replace(finding, seen=1, runs=1))),
        )
        alike.setdefault(key, []).append(finding)
    for first, *others in alike.values():
        yield first, [finding.address for finding in others]


def _unresolved(record: AuditRecord) -> Iterator[str]:
    found = words.reasons(record)
    if found:
        yield "unresolved:"
    for reason, attempts in found.items():
        count = words.counted(len(attempts), "attempt")
        which = words.addresses([attempt.address for attempt in attempts])
        yield printable(f"  {count} ({which}): {reason}")


def _excused(record: AuditRecord) -> Iterator[str]:
    if record.excused:
        yield "excused, not a finding:"
    for first, others in _folded(record.excused):
        also = f", and {len(others):,} more like it" if others else ""
        line = f"{first.category}: {words.describe_finding(first)}: {first.excuse}"
        yield printable(f"  {first.address}{also}  {line}")


def _expected(record: AuditRecord) -> Iterator[str]:
    if record.expected:
        yield "left behind, but not a finding:"
    yield from (f"  {printable(each)}" for each in record.expected)


def _stack(how: str, suspension: Suspension, places: Places) -> Iterator[str]:
    yield printable(f"{how}, at suspension {suspension.ordinal} ({_waiting(suspension)}):")
    for site in suspension.chain:
        place = places.of(site)
        yield f"  {place}"
        if place.source:
            yield f"    {place.source}"


def _waiting(suspension: Suspension) -> str:
    task = "" if suspension.task == "scenario" else f"in the task {suspension.task}, "
    return printable(f"{task}waits for {suspension.awaited}")


def _table(rows: Sequence[tuple[str, ...]], right: Iterable[int] = ()) -> list[str]:
    """Return rows with aligned columns, as printable lines."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in lines)


def _joined(blocks: Iterable[list[str]]) -> str:
    """Return blocks of lines, separated by empty lines, with shortened places."""
    parted = ([*block, ""] for block in blocks if block)
    return shortened("\n".join(list(chain.from_iterable(parted))[:-1]) + "\n")
