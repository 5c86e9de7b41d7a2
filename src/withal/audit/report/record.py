"""The record of an audit: its attempts and their results, as data for all report formats."""

from __future__ import annotations

import linecache
import os
import shlex
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2s
from typing import final

from withal._core.site import Site
from withal.audit.libraries import is_library_file

DEFAULT_TIMEOUT_SECONDS = 5.0
"""Seconds that a scenario, and each use of its environment, may take by default."""


@final
class Verdict(StrEnum):
    """The result of an audit."""

    SAFE = "safe"
    """No finding: evidence for the schedules that were tried, not a proof."""

    UNSAFE = "unsafe"
    """At least one attempt left something behind, or behaved wrongly."""

    UNRESOLVED = "unresolved"
    """No finding, but not everything could be tried."""

    ERROR = "error"
    """The scenario fails without any cancellation."""


@final
class Delivery(StrEnum):
    """How a suspended task is cancelled, or made to fail."""

    EARLY = "early"
    """``Task.cancel()`` while the awaited result is pending."""

    LATE = "late"
    """``Task.cancel()`` when the awaited result has just arrived, which is then dropped."""

    ANYIO = "anyio"
    """``CancelScope.cancel()`` of an anyio scope around it, which cancels again at each turn."""

    TIMEOUT = "timeout"
    """An ``asyncio.timeout`` around it expires."""

    ERROR = "error"
    """The wait raises an `InjectedError` instead of returning its result.

    Not at waits that cannot fail: a turn of the loop, or the locks and queues of asyncio.
    """

    ORDER = "order"
    """It is not cancelled, but tasks run in another order; only for the schedules of `audit`."""


@final
class Category(StrEnum):
    """The kind of a problem."""

    WRONG_ANSWER = "wrong answer"
    SLOT = "lock or slot"
    STARVATION = "starvation"
    HANG = "hang"
    SWALLOWED = "swallowed cancellation"
    TRANSPORT = "socket or transport"
    DESCRIPTOR = "descriptor"
    PROCESS = "process"
    THREAD = "thread"
    TASK = "task"
    COLLECTED = "closed only by the garbage collector"
    DROPPED = "dropped without being closed"
    CLEANUP = "error in clean-up"


WORST_FIRST = tuple(Category)
"""The categories, the worst first: wrong results, then hangs, then leftovers."""


@final
@dataclass(frozen=True, slots=True)
class Suspension:
    """A place where a task of the scenario waits, and may be cancelled.

    Attributes:
        ordinal: its number, from 1. In the run without a cancellation, the suspensions of the
            scenario's own task are counted first, then those of its child tasks in order of
            creation. In a clean-up, counting starts at the cancellation.
        task: ``"scenario"``, or for a child task its name, if it has one, and its coroutine
            function.
        chain: the frames of the suspension, from the task's outermost to the innermost.
        awaited: the awaited object, such as ``"Future"``, or ``"a turn of the loop"``.
    """

    ordinal: int
    task: str
    chain: tuple[Site, ...]
    awaited: str

    @property
    def site(self) -> Site | None:
        """The innermost frame outside of asyncio, anyio and the standard library.

        If there is none, the innermost frame.
        """
        for site in reversed(self.chain):
            if not is_library_file(site.file):
                return site
        return self.innermost

    @property
    def innermost(self) -> Site | None:
        """The innermost frame."""
        return self.chain[-1] if self.chain else None


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One problem in one attempt.

    Attributes:
        address: the address of the attempt, for a replay: ``"3:late"``, or ``"3+2:late"`` at
            depth 2.
        suspension: the suspension of the last cancellation of the attempt.
        delivery: how it was cancelled.
        category: the category of the problem.
        evidence: the evidence, in one line.
        detail: further details, in several lines, such as the stack of a task that was left behind.
        kind: the kind within the category, without random and counted parts.
        seen: the number of runs of the attempt that have the finding.
        runs: the number of runs of the attempt.
        excuse: why it does not affect the verdict; empty if it does.
    """

    address: str
    suspension: Suspension
    delivery: Delivery
    category: Category
    evidence: str
    detail: str = ""
    kind: str = ""
    seen: int = 1
    runs: int = 1
    excuse: str = ""

    @property
    def key(self) -> str:
        """The key, which equal findings share, in this audit and in others.

        It has ten hexadecimal digits, computed from the category, the kind, and the place: the name
        of the file, the function, and the text of the line. The numbers of lines and suspensions,
        and the delivery, are not included.
        """
        site = self.suspension.site
        place = ("", "", "")
        if site is not None:
            place = os.path.basename(site.file), site.code.co_qualname, _line_of(site)
        parts = (self.category, self.kind, *place)
        return blake2s("\0".join(parts).encode(errors="replace"), digest_size=5).hexdigest()

    @property
    def is_flaky(self) -> bool:
        """Whether it was not seen in each run."""
        return self.seen < self.runs


def _line_of(site: Site) -> str:
    try:
        return linecache.getline(site.file, site.line).strip()
    except ValueError:  # no file can have such a name
        return ""


@final
@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the scenario with a cancellation, or with several in a row.

    Attributes:
        address: its address, for a replay.
        suspension: the suspension of the last cancellation.
        after: the suspensions of the earlier cancellations, at a depth of 2 and more.
        delivery: how it was cancelled.
        outcome: how the scenario ended, such as ``"cancelled"`` or ``"raised OSError(5)"``.
        findings: the findings that affect the verdict.
        unresolved: why the attempt has no result; empty if it has one.
        detail: further details, if a single attempt is replayed.
        excused: the findings that do not affect the verdict; each has the reason.
    """

    address: str
    suspension: Suspension
    delivery: Delivery
    outcome: str
    findings: tuple[Finding, ...] = ()
    after: tuple[Suspension, ...] = ()
    unresolved: str = ""
    detail: str = ""
    excused: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on this attempt alone."""
        if self.findings:
            return Verdict.UNSAFE
        return Verdict.UNRESOLVED if self.unresolved else Verdict.SAFE


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """The complete result of an audit.

    Attributes:
        scenario: the scenario's name.
        target: the target of the command line (``"file.py:name"``), if there is one.
        verdict: the verdict.
        reason: the reason, in one or more lines, if the verdict is unresolved or error.
        suspensions: the suspensions of the scenario without any cancellation.
        attempts: the attempts, in order.
        deliveries: how it was cancelled.
        depth: the maximum number of successive cancellations.
        loop: the kind of event loop, such as ``"asyncio"``.
        python: the interpreter and its version.
        seconds: the duration of the audit.
        expected: leftovers that are not findings, and why: they are expected (`expect`), or runs
            without a cancellation leave them, too.
        timeout: the limit for the scenario, and for each use of the environment, in seconds.
        command: the command that repeats an attempt when its address is appended; empty for
            ``withal audit`` or a call of `audit`.
        schedules: the number of random schedules and their seed, if there were any.
        children: whether tasks that only the end of the loop would cancel were cancelled, too.
    """

    scenario: str
    target: str | None
    verdict: Verdict
    reason: str = ""
    suspensions: tuple[Suspension, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    depth: int = 1
    loop: str = "asyncio"
    python: str = ""
    seconds: float = 0.0
    expected: tuple[str, ...] = ()
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    command: str = ""
    children: bool = False
    schedules: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, in the order of the attempts."""
        return tuple(finding for attempt in self.attempts for finding in attempt.findings)

    @property
    def excused(self) -> tuple[Finding, ...]:
        """The findings that do not affect the verdict, in the order of the attempts."""
        return tuple(finding for attempt in self.attempts for finding in attempt.excused)

    def replay(self, address: str) -> str:
        """Return the command, or the call, that repeats one attempt and shows its details."""
        if self.command:
            return f"{self.command} {address}"
        if self.target is None:
            return f'audit({self.scenario}, ..., at="{address}")'
        loop = "" if self.loop == "asyncio" else f" --loop {self.loop}"
        timeout = "" if self.timeout == DEFAULT_TIMEOUT_SECONDS else f" --timeout {self.timeout:g}"
        return f"withal audit {shlex.quote(self.target)} --at {address}{loop}{timeout}"
