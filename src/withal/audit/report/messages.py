"""The texts that several formats of a report share."""

from __future__ import annotations

from typing import Final

from withal._core.printable import printable
from withal.audit.report.record import (
    Attempt,
    AuditRecord,
    Category,
    Delivery,
    Finding,
    Suspension,
    Verdict,
)

CAVEAT: Final = "This is evidence for the schedules that were tried, not a proof."

HOW: Final = {
    Delivery.EARLY: "cancelled while the awaited result is pending",
    Delivery.LATE: "cancelled when the awaited result has just arrived, which is then dropped",
    Delivery.ANYIO: "cancelled by an anyio scope around it, at each turn of the loop",
    Delivery.TIMEOUT: "cancelled by an asyncio.timeout around it that expires",
    Delivery.ERROR: "not cancelled: the wait fails with an error instead of a result",
    Delivery.ORDER: "not cancelled: its tasks run in another order",
}

MEANING: Final = {
    Category.WRONG_ANSWER: "The environment gives wrong answers to its next users.",
    Category.SLOT: "A lock, or a slot of a semaphore or a pool, is not released.",
    Category.STARVATION: "A waiter is never woken, although its turn has come.",
    Category.HANG: "The scenario, or its clean-up, does not end.",
    Category.SWALLOWED: "A task was cancelled, but continues or returns normally.",
    Category.TRANSPORT: "A socket or a transport is left open.",
    Category.DESCRIPTOR: "A file descriptor is left open.",
    Category.PROCESS: "A child process is left running.",
    Category.THREAD: "A thread is left running.",
    Category.TASK: "A task is left running.",
    Category.COLLECTED: "A resource is closed only when the garbage collector finds it.",
    Category.DROPPED: "A resource is closed only because nothing refers to it any more.",
    Category.CLEANUP: "The clean-up raises an error of its own.",
}

_CONDUCT: Final = {
    Category.WRONG_ANSWER,
    Category.STARVATION,
    Category.HANG,
    Category.SWALLOWED,
    Category.CLEANUP,
}


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    Example:
        >>> counted(1, "attempt"), counted(2000, "attempt")
        ('1 attempt', '2,000 attempts')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def headline(record: AuditRecord) -> str:
    """Return a line with the verdict, the scenario's name, and the numbers of trials."""
    return f"{record.verdict}: {printable(record.scenario)}: {summary(record)} ({trials(record)})"


def summary(record: AuditRecord) -> str:
    """Return the result of an audit, as a part of a sentence."""
    tried = counted(len(record.attempts), "attempt")
    match record.verdict:
        case Verdict.UNSAFE:
            wrong = sum(1 for attempt in record.attempts if attempt.findings)
            return f"{wrong:,} of {tried} {_went_wrong(record)}"
        case Verdict.SAFE:
            return f"no finding in {tried}"
        case Verdict.UNRESOLVED:
            return _why_unresolved(record, tried)
        case Verdict.ERROR:
            return "the scenario fails without any cancellation"


def trials(record: AuditRecord) -> str:
    """Return the options and circumstances of the audit."""
    if record.verdict is Verdict.ERROR:
        return surroundings(record)
    parts = [counted(len(record.suspensions), "suspension")]
    if record.deliveries:
        parts.append(", ".join(record.deliveries))
    if record.depth > 1:
        parts.append(f"depth {record.depth}")
    if record.schedules:
        parts.append(record.schedules)
    if record.children:
        parts.append("all tasks")
    parts.append(surroundings(record))
    return "; ".join(parts)


def surroundings(record: AuditRecord) -> str:
    """Return the loop and the interpreter."""
    return ", ".join(printable(each) for each in (record.loop, record.python) if each)


def reasons(record: AuditRecord) -> dict[str, list[Attempt]]:
    """Return the unresolved attempts, by reason."""
    found: dict[str, list[Attempt]] = {}
    for attempt in record.attempts:
        if attempt.unresolved:
            found.setdefault(attempt.unresolved, []).append(attempt)
    return found


def describe_finding(finding: Finding) -> str:
    """Return the evidence, the task, how often it was seen, and the key, in one line."""
    task = in_task(finding.suspension)
    how = "an error" if finding.delivery is Delivery.ERROR else "cancelled"
    parts = [finding.evidence, f"({how}{task})" if task else "", times(finding)]
    return " ".join(filter(None, (*parts, f"[{finding.key}]")))


def times(finding: Finding) -> str:
    """Return how often a finding was seen, in parentheses; empty if it was not repeated."""
    if finding.runs == 1:
        return ""
    flaky = "flaky: " if finding.is_flaky else ""
    return f"({flaky}{finding.seen} of {finding.runs})"


def in_task(suspension: Suspension) -> str:
    """Return the task of a suspension, with a leading blank; empty for the scenario's own task.

    Example:
        >>> in_task(Suspension(3, "Pool.refill", (), "Future"))
        ' in the task Pool.refill'
    """
    return "" if suspension.task == "scenario" else f" in the task {suspension.task}"


def printable_lines(text: str) -> list[str]:
    """Return the lines of a text in printable form, without leading and trailing empty lines."""
    return [printable(line.expandtabs().rstrip()) for line in text.strip("\n").split("\n") if text]


def addresses(attempts: list[str], most: int = 6) -> str:
    """Return the addresses of attempts; of many, only the first.

    Example:
        >>> addresses(["3:late", "4:late", "5:late"], most=2)
        '3:late, 4:late, ...'
    """
    return ", ".join(attempts[:most]) + (", ..." if len(attempts) > most else "")


def _went_wrong(record: AuditRecord) -> str:
    conduct = any(finding.category in _CONDUCT for finding in record.findings)
    return "went wrong" if conduct else "left something behind"


def _why_unresolved(record: AuditRecord, tried: str) -> str:
    silent = sum(1 for attempt in record.attempts if attempt.unresolved)
    if not record.attempts:
        return "no attempt was made"
    if silent:
        return f"no finding, but {silent:,} of {tried} had no result"
    return f"no finding in {tried}, but not everything could be tried"
