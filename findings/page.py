"""The generated part of docs/findings.md.

    python -m findings.page

writes the table between the two marks in the page.
"""

from __future__ import annotations

from pathlib import Path

from findings.finding import CPYTHON, Finding, Safe
from findings.table import FINDINGS, SAFE

PAGE = Path(__file__).parents[1] / "docs" / "findings.md"
_BEGIN = "<!-- begin: written by python -m findings.page -->\n"
_END = "<!-- end -->\n"


def generated() -> str:
    """Return the text between the marks."""
    parts = [
        _counts(),
        "## Findings\n",
        _rows(("Library", "Fault", "Upstream"), map(_summary, FINDINGS)),
        *map(_section, FINDINGS),
        "## No findings\n",
        "The audit of these scenarios found nothing, with one cancellation at each suspension, "
        "early and late. This is evidence for these scenarios, not a proof.\n",
        _rows(("Library", "Scenario"), map(_safe, SAFE)),
    ]
    return "\n".join(parts)


def with_generated(page: str) -> str:
    """Return the text of the page with its generated part written from the table."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{generated()}\n{_END}{after}"


def _counts() -> str:
    """Return a sentence with the number of libraries, and of those with a finding."""
    faulty = {each.library for each in FINDINGS} - {CPYTHON}
    audited = {each.library for each in (*FINDINGS, *SAFE)} - {CPYTHON}
    return (
        f"{len(audited)} libraries were audited, and asyncio itself. "
        f"{len(faulty)} of the libraries have findings, and so has asyncio.\n"
    )


def _rows(head: tuple[str, ...], rows: map[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _summary(finding: Finding) -> tuple[str, ...]:
    return (
        f"[{_release(finding)}](#{finding.name})",
        finding.fault,
        _upstream(finding),
    )


def _upstream(finding: Finding) -> str:
    if finding.report:
        return f"[reported]({finding.report})"
    if finding.related:
        return f"no report found; [related]({finding.related})"
    return "no report found"


def _section(finding: Finding) -> str:
    script = f"[`{finding.name}.py`](../findings/plain/{finding.name}.py)"
    lines = [
        f"### {finding.name}\n",
        f"**{_release(finding)}: {finding.fault}**\n",
        f"- Consequence: {finding.consequence}",
        f"- Location: {finding.location}",
        f"- Fix: {finding.fix}",
        f"- Upstream: {_upstream(finding)}",
        f"- Plain script: {script}{_conditions(finding)}",
    ]
    if finding.finds:
        scenario = f"[scenario](../findings/scenarios/{finding.name}.py)"
        lines.append(f"- Audit of its {scenario}: {', '.join(finding.finds)}")
    else:
        lines.append("- Audit: no scenario, because no cancellation is needed")
    return "\n".join(lines) + "\n"


def _conditions(finding: Finding) -> str:
    if finding.service is not None:
        return f" (needs {finding.service})"
    return ""


def _safe(safe: Safe) -> tuple[str, ...]:
    scenario = f"../findings/scenarios/{safe.name}.py"
    return f"{safe.library} {safe.version}", f"[{safe.audited}]({scenario})"


def _release(finding: Finding) -> str:
    if finding.library == CPYTHON:
        return f"{CPYTHON} {', '.join(finding.pythons)}"
    return f"{finding.library} {finding.version}"


if __name__ == "__main__":
    PAGE.write_text(with_generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
