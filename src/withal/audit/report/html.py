"""A report as one page of HTML that needs nothing else: a matrix of sites by delivery.

The page is `page/report.html` with the style, the script and the data put in. What it may do is
fixed by its content security policy: run that script, use that style, and load nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import Final

from withal._core.printable import printable
from withal.audit.report import messages as words
from withal.audit.report.locations import shortened
from withal.audit.report.page_data import page_data
from withal.audit.report.record import WORST_FIRST, Delivery, Record, Verdict

_MARK: Final = re.compile(r"\{\{(\w+)\}\}")


def render(record: Record) -> str:
    """Return a page that can be opened from a disk, sent by mail, and read on a phone.

    The verdict and what was tried stand in the page itself; the matrix, and the stack and the
    evidence of each attempt, are drawn by its script when they are looked at.

    Example:
        >>> from withal.audit.report.record import Record, Verdict
        >>> page = render(Record(scenario="pool", target=None, verdict=Verdict.SAFE))
        >>> page[:15], "<title>safe: pool" in page
        ('<!doctype html>', True)
    """
    style, script = _file("report.css"), _file("report.js")
    values = {
        "verdict": record.verdict.value,
        "scenario": _escaped(record.scenario),
        "summary": _escaped(words.summary(record)),
        "remarks": "\n".join(_remarks(record)),
        "facts": "\n".join(_terms(_facts(record))),
        "deliveries": "\n".join(_terms((each, words.HOW[each]) for each in Delivery)),
        "categories": "\n".join(_terms((each, words.MEANING[each]) for each in WORST_FIRST)),
        "caveat": _escaped(words.CAVEAT),
        "data": page_data(record),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
    }
    # In one go: what was put in is not searched for marks.
    return _MARK.sub(lambda mark: values[mark[1]], _file("report.html"))


def _file(name: str) -> str:
    return files("withal.audit.report").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    """Return what a content security policy knows a style or a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _escaped(text: str) -> str:
    return escape(printable(text))


def _remarks(record: Record) -> Iterable[str]:
    if record.reason:
        lines = "\n".join(map(escape, words.printable_lines(shortened(record.reason))))
        yield f'<div class="remark"><pre>{lines}</pre></div>'
    if record.verdict is Verdict.SAFE:
        yield f'<p class="remark">{_escaped(words.CAVEAT)}</p>'
    if record.expected:
        items = "".join(f"<li>{_escaped(each)}</li>" for each in record.expected)
        yield f'<div class="remark">Left behind, and no finding:<ul>{items}</ul></div>'


def _facts(record: Record) -> Iterable[tuple[str, str]]:
    yield "attempts", f"{len(record.attempts):,}"
    yield "suspensions", f"{len(record.suspensions):,}"
    yield "deliveries", ", ".join(record.deliveries) or "none"
    yield "depth", str(record.depth)
    yield "on", words.surroundings(record)
    yield "took", f"{record.seconds:,.2f} s"


def _terms(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    for term, meaning in pairs:
        yield f"<div><dt>{_escaped(term)}</dt><dd>{_escaped(meaning)}</dd></div>"
