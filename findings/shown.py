"""The lines and the table that `make findings` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from findings.finding import Finding
from findings.trial import Result


def line_of(result: Result) -> str:
    """Return the outcome of a trial in a short line with rich's markup."""
    return f"{_subject(result)}, {result.trial.subject.name}: [{_style(result)}]{_found(result)}[/]"


def table_of(results: Sequence[Result]) -> Table:
    """Return the table of the outcomes of all trials."""
    table = Table("library", "entry", "plain script", "audit", "expected")
    for column in table.columns[:3]:
        column.no_wrap = True
    for result in results:
        table.add_row(
            _subject(result),
            result.trial.subject.name,
            _plain(result),
            escape(_audit(result)),
            _judgement(result),
            style=_style(result),
        )
    return table


def _subject(result: Result) -> str:
    installs = result.trial.case.installs
    if not installs:
        return f"CPython {result.trial.case.python}"
    return installs[0].replace("==", " ")


def _found(result: Result) -> str:
    if result.note:
        return escape(result.note)
    said = [_plain(result), escape(_audit(result))]
    return "; ".join(each for each in said if each)


def _plain(result: Result) -> str:
    if result.note or not isinstance(result.trial.subject, Finding):
        return ""
    return "reproduces" if result.reproduced else "does not reproduce"


def _audit(result: Result) -> str:
    if result.note:
        return result.note
    if result.audit is None:
        return ""
    if result.audit.found:
        return ", ".join(result.audit.found)
    return f"{result.audit.verdict or 'no verdict'} {result.audit.note}".strip()


def _judgement(result: Result) -> str:
    if result.skipped:
        return "skipped"
    return "yes" if result.as_expected else "no"


def _style(result: Result) -> str:
    if result.skipped:
        return "yellow"
    return "green" if result.as_expected else "red"
