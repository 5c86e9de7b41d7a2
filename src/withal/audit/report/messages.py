"""What several forms of a report say in the same words."""

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

CAVEAT: Final = "This is evidence for the schedules that were tried, no proof."

HOW: Final = {
    Delivery.EARLY: "cancelled while what it awaits is still pending",
    Delivery.LATE: "cancelled when what it awaits is done, and its result about to be dropped",
    Delivery.ANYIO: "cancelled by an anyio scope around it, at each turn of the loop",
    Delivery.TIMEOUT: "cancelled by an asyncio.timeout around it that expires",
    Delivery.ERROR: "not cancelled: what it awaits fails, in place of giving a result",
    Delivery.ORDER: "not cancelled: its tasks run in another order",
}

MEANING: Final = {
    Category.WRONG_ANSWER: "What was used gives wrong answers to those who use it next.",
    Category.SLOT: "A lock, or a slot of a semaphore or a pool, is not given back.",
    Category.STARVATION: "Somebody who waits for a turn is passed over and waits for ever.",
    Category.HANG: "The scenario, or its clean-up, does not end.",
    Category.SWALLOWED: "A task was cancelled, and goes on or returns as if it had not been.",
    Category.TRANSPORT: "A socket or a transport is left open.",
    Category.DESCRIPTOR: "A file descriptor is left open.",
    Category.PROCESS: "A child process is left running.",
    Category.THREAD: "A thread is left running.",
    Category.TASK: "A task is left running.",
    Category.COLLECTED: "What nobody closes is closed only when the garbage collector finds it.",
    Category.DROPPED: "What nobody closes is closed only because nothing refers to it any more.",
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
    """Return a line with the verdict, the scenario's name, and how much was tried."""
    return f"{record.verdict}: {printable(record.scenario)}: {summary(record)} ({trials(record)})"


def summary(record: AuditRecord) -> str:
    """Return what an audit comes to, in a part of a sentence."""
    tried = counted(len(record.attempts), "attempt")
    match record.verdict:
        case Verdict.UNSAFE:
            wrong = sum(1 for attempt in record.attempts if attempt.findings)
            return f"{wrong:,} of {tried} {_went_wrong(record)}"
        case Verdict.SAFE:
            return f"nothing wrong was found in {tried}"
        case Verdict.UNRESOLVED:
            return _why_unresolved(record, tried)
        case Verdict.ERROR:
            return "the scenario fails without any cancellation"


def trials(record: AuditRecord) -> str:
    """Return under which circumstances it was tried."""
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
    """Return what it ran on."""
    return ", ".join(printable(each) for each in (record.loop, record.python) if each)


def reasons(record: AuditRecord) -> dict[str, list[Attempt]]:
    """Return why attempts came to nothing, and which."""
    found: dict[str, list[Attempt]] = {}
    for attempt in record.attempts:
        if attempt.unresolved:
            found.setdefault(attempt.unresolved, []).append(attempt)
    return found


def describe_finding(finding: Finding) -> str:
    """Return what was seen, in which task, how often, and the key of it: all in a line."""
    task = in_task(finding.suspension)
    how = "an error" if finding.delivery is Delivery.ERROR else "cancelled"
    parts = [finding.evidence, f"({how}{task})" if task else "", times(finding)]
    return " ".join(filter(None, (*parts, f"[{finding.key}]")))


def times(finding: Finding) -> str:
    """Return how often a finding was seen, in parentheses; nothing if it was not made again."""
    if finding.runs == 1:
        return ""
    flaky = "flaky: " if finding.is_flaky else ""
    return f"({flaky}{finding.seen} of {finding.runs})"


def in_task(suspension: Suspension) -> str:
    """Return in which task a suspension is, with a blank before it; nothing for the scenario's own.

    Example:
        >>> in_task(Suspension(3, "Pool.refill", (), "Future"))
        ' in the task Pool.refill'
    """
    return "" if suspension.task == "scenario" else f" in the task {suspension.task}"


def printable_lines(text: str) -> list[str]:
    """Return the lines of a text such that they can be printed, without empty ones around them."""
    return [printable(line.expandtabs().rstrip()) for line in text.strip("\n").split("\n") if text]


def addresses(attempts: list[str], most: int = 6) -> str:
    """Return the addresses of attempts; of many, the first.

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
        return "nothing was tried"
    if silent:
        return f"nothing wrong was found, but {silent:,} of {tried} came to nothing"
    return f"nothing wrong was found in {tried}, but not all could be tried"
