"""What is shown of the corpus: a line when a case is done, and the table in the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from corpus.running.audits import Outcome


def line_of(outcome: Outcome) -> str:
    """Return what came of a case, in a short line with rich's markup."""
    style = _style(outcome)
    found = escape(_found(outcome))
    taken = f" ({outcome.seconds:.1f} s)" if outcome.seconds else ""
    return f"{outcome.case.subject}, {_scenario(outcome)}: [{style}]{found}[/]{taken}"


def table_of(outcomes: Sequence[Outcome]) -> Table:
    """Return the table of what came of all cases."""
    table = Table("audited", "by", "found", "expected")
    for column in table.columns[:2]:
        column.no_wrap = True
    for outcome in outcomes:
        table.add_row(
            outcome.case.subject,
            _scenario(outcome),
            escape(_found(outcome)),
            escape(_judgement(outcome)),
            style=_style(outcome),
        )
    return table


def _scenario(outcome: Outcome) -> str:
    return outcome.case.scenario.replace(".py:scenario", "").replace(".py", "")


def _found(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"skipped: {outcome.note}"
    if outcome.found:
        return ", ".join(outcome.found)
    verdict = outcome.verdict or "no verdict"
    return f"{verdict}: {outcome.note}" if outcome.note else str(verdict)


def _judgement(outcome: Outcome) -> str:
    if outcome.skipped:
        return ""
    if outcome.as_expected:
        return "yes"
    return f"no: {', '.join(outcome.case.finds) or 'safe'}"


def _style(outcome: Outcome) -> str:
    if outcome.skipped:
        return "yellow"
    return "green" if outcome.as_expected else "red"
