"""Text: a report as people read it in a terminal."""

from __future__ import annotations

from withal.audit.record import Record


def render(record: Record) -> str:
    """Return the report."""
    lines = [f"{record.verdict}: {record.scenario} {record.reason}"]
    lines += (
        f"  {each.address} {each.suspension.site} {each.category}: {each.evidence}"
        for each in record.findings
    )
    return "\n".join(lines)
