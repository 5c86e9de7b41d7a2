"""A report as one self-contained HTML page with a matrix of sites and deliveries.

The page is made by `withal.html_report.page` of the files in `page/` and the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from withal.audit.report import messages as words
from withal.audit.report.locations import shortened
from withal.audit.report.page_data import page_data
from withal.audit.report.record import WORST_FIRST, AuditRecord, Delivery, Verdict
from withal.html_report.page import definitions, escaped, render_page


def render(record: AuditRecord) -> str:
    """Return a page that can be opened from a file, on a desktop or a phone.

    The verdict and the numbers are plain HTML; the script draws the matrix, and the stack and
    evidence of an attempt when it is opened.

    Example:
        >>> from withal.audit.report.record import AuditRecord, Verdict
        >>> page = render(AuditRecord(scenario="pool", target=None, verdict=Verdict.SAFE))
        >>> page[:15], "<title>safe: pool" in page
        ('<!doctype html>', True)
    """
    title = f"{record.verdict.value}: {record.scenario} · withal audit"
    values = {
        "verdict": record.verdict.value,
        "scenario": escaped(record.scenario),
        "summary": escaped(words.summary(record)),
        "remarks": "\n".join(_remarks(record)),
        "facts": definitions(_facts(record)),
        "deliveries": definitions((each, words.HOW[each]) for each in Delivery),
        "categories": definitions((each, words.MEANING[each]) for each in WORST_FIRST),
        "caveat": escaped(words.CAVEAT),
    }
    return render_page("withal.audit.report", title, values, page_data(record))


def _remarks(record: AuditRecord) -> Iterable[str]:
    if record.reason:
        lines = "\n".join(map(escape, words.printable_lines(shortened(record.reason))))
        yield f'<div class="remark"><pre>{lines}</pre></div>'
    if record.verdict is Verdict.SAFE:
        yield f'<p class="remark">{escaped(words.CAVEAT)}</p>'
    if record.expected:
        items = "".join(f"<li>{escaped(each)}</li>" for each in record.expected)
        yield f'<div class="remark">Left behind, but not a finding:<ul>{items}</ul></div>'


def _facts(record: AuditRecord) -> Iterable[tuple[str, str]]:
    yield "attempts", f"{len(record.attempts):,}"
    yield "suspensions", f"{len(record.suspensions):,}"
    yield "deliveries", ", ".join(record.deliveries) or "none"
    yield "depth", str(record.depth)
    yield "on", words.surroundings(record)
    yield "took", f"{record.seconds:,.2f} s"
