"""A report as annotations of GitHub Actions, which are shown beside the code.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os

from withal._core.printable import printable
from withal.audit.report import messages as words
from withal.audit.report.locations import UNKNOWN, Location, Places
from withal.audit.report.outline import worst_first
from withal.audit.report.record import AuditRecord, Finding, Verdict


def render(record: AuditRecord) -> str:
    """Return an error for each finding with a different key, and a line for the verdict.

    Excused findings are notices. If the verdict is unresolved, the reason is a warning; if the
    scenario fails without a cancellation, the reason is an error.

    Example:
        >>> from withal.audit.report.record import AuditRecord, Verdict
        >>> print(render(AuditRecord(scenario="pool", target=None, verdict=Verdict.SAFE)), end="")
        safe: pool: no finding in 0 attempts (0 suspensions; asyncio)
    """
    places = Places()
    lines = [_annotation("error", each, record, places) for each in _by_key(record.findings)]
    lines += [_annotation("notice", each, record, places) for each in _by_key(record.excused)]
    if record.verdict in (Verdict.UNRESOLVED, Verdict.ERROR):
        level = "warning" if record.verdict is Verdict.UNRESOLVED else "error"
        reasons = [record.reason, *words.reasons(record)]
        text = "\n".join([words.headline(record), *filter(None, reasons)])
        lines.append(f"::{level} title=withal audit::{_escaped(text)}")
    return "\n".join([*lines, words.headline(record)]) + "\n"


def _by_key(findings: tuple[Finding, ...]) -> list[Finding]:
    found: dict[str, Finding] = {}
    for finding in worst_first(findings):
        found.setdefault(finding.key, finding)
    return list(found.values())


def _annotation(level: str, finding: Finding, record: AuditRecord, places: Places) -> str:
    place = places.of(finding.suspension.site)
    title = _escaped(f"withal audit: {finding.category}").replace(",", "%2C").replace(":", "%3A")
    parts = [words.describe_finding(finding), *([finding.excuse] if finding.excuse else [])]
    parts.append(f"replay: {record.replay(finding.address)}")
    return f"::{level} {_where(place)}title={title}::{_escaped(chr(10).join(parts))}"


def _where(place: Location) -> str:
    if place == UNKNOWN:
        return ""
    file = place.file.removeprefix(os.path.join(os.getcwd(), ""))
    file = _escaped(file).replace(",", "%2C").replace(":", "%3A")
    return f"file={file},line={place.line},"


def _escaped(text: str) -> str:
    """Return a text, escaped for a workflow command, which is one line."""
    lines = "\n".join(map(printable, text.split("\n")))
    return lines.replace("%", "%25").replace("\n", "%0A")
