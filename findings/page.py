"""The generated part of docs/findings.md.

    python -m findings.page

writes it anew, from the table, between the two marks in the page.
"""

from __future__ import annotations

from pathlib import Path

from findings.finding import CPYTHON, Finding, Safe
from findings.table import FINDINGS, SAFE

PAGE = Path(__file__).parents[1] / "docs" / "findings.md"
_BEGIN = "<!-- begin: written by python -m findings.page -->\n"
_END = "<!-- end -->\n"


def generated() -> str:
    """Return what stands between the marks."""
    parts = [
        _counts(),
        "## Findings\n",
        _rows(("library", "what goes wrong", "known"), map(_summary, FINDINGS)),
        *map(_section, FINDINGS),
        "## Found safe\n",
        "Nothing was found with one cancellation at each suspension, early and late. This is "
        "evidence for these scenarios, and not a proof.\n",
        _rows(("library", "audited"), map(_safe, SAFE)),
    ]
    return "\n".join(parts)


def with_generated(page: str) -> str:
    """Return the text of the page with its generated part as the table has it."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{generated()}\n{_END}{after}"


def _counts() -> str:
    """Return how many libraries there are, and how many of them have a finding."""
    faulty = {each.library for each in FINDINGS} - {CPYTHON}
    audited = {each.library for each in (*FINDINGS, *SAFE)} - {CPYTHON}
    return (
        f"There are {len(audited)} libraries, and asyncio itself. There are faults in "
        f"{len(faulty)} of the libraries, and in asyncio.\n"
    )


def _rows(head: tuple[str, ...], rows: map[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _summary(finding: Finding) -> tuple[str, ...]:
    return (
        f"[{_release(finding)}](#{finding.name})",
        finding.left,
        _reports(finding),
    )


def _reports(finding: Finding) -> str:
    if finding.known:
        return f"[reported]({finding.known})"
    if finding.near:
        return f"not known; [something like it]({finding.near})"
    return "not known"


def _section(finding: Finding) -> str:
    script = f"[`{finding.name}.py`](../findings/plain/{finding.name}.py)"
    lines = [
        f"### {finding.name}\n",
        f"**{_release(finding)}: {finding.left}**\n",
        f"- A user sees: {finding.suffered}",
        f"- Where: {finding.line}",
        f"- It would be mended if {finding.mended}",
        f"- Known: {_reports(finding)}",
        f"- Plain script: {script}{_conditions(finding)}",
    ]
    if finding.finds:
        scenario = f"[scenario](../findings/scenarios/{finding.name}.py)"
        lines.append(f"- The audit of its {scenario} finds: {', '.join(finding.finds)}")
    else:
        lines.append("- No cancellation is needed, so there is no scenario")
    return "\n".join(lines) + "\n"


def _conditions(finding: Finding) -> str:
    if finding.service is not None:
        return f", with a server of {finding.service}"
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
