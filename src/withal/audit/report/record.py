"""The record of an audit: what was tried, and what came of it. Data alone, for all who show it."""

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
    """What an audit comes to."""

    SAFE = "safe"
    """Nothing was found: evidence for the schedules that were tried, no proof."""

    UNSAFE = "unsafe"
    """At least one attempt left something behind, or behaved wrongly."""

    UNRESOLVED = "unresolved"
    """Nothing was found, but not all that should have been tried could be."""

    ERROR = "error"
    """The scenario fails without any cancellation."""


@final
class Delivery(StrEnum):
    """How a suspended task is made to give up."""

    EARLY = "early"
    """``Task.cancel()`` while what it awaits is still pending."""

    LATE = "late"
    """``Task.cancel()`` when what it awaits is done, and its result about to be dropped."""

    ANYIO = "anyio"
    """``CancelScope.cancel()`` of an anyio scope around it, which cancels again at each turn."""

    TIMEOUT = "timeout"
    """An ``asyncio.timeout`` around it expires."""

    ERROR = "error"
    """What it awaits fails, with an `InjectedError` in place of the result.

    Not where nothing can fail: at a turn of the loop, or in asyncio's own locks and queues.
    """

    ORDER = "order"
    """Nothing is cancelled, but tasks run in another order. Only of `audit`'s schedules."""


@final
class Category(StrEnum):
    """What kind of thing is wrong."""

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
"""The categories from the worst on: what gives wrong results, what stops, what is left behind."""


@final
@dataclass(frozen=True, slots=True)
class Suspension:
    """A place where a task of the scenario waits, and may be cancelled.

    Attributes:
        ordinal: its number, from 1. In the run without a cancellation it counts through the
            scenario's own task first, then through its child tasks in order of creation; in a
            clean-up it counts from the cancellation on.
        task: which task: ``"scenario"``, or the name of the coroutine function of a child, after
            the name that the task has been given, if any.
        chain: where it is suspended, from the task's outermost frame to the innermost.
        awaited: what it waits for, such as ``"Future"``, or ``"a turn of the loop"``.
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
    """One thing that went wrong in one attempt.

    Attributes:
        address: names the attempt, for a replay: ``"3:late"``, or ``"3+2:late"`` at depth 2.
        suspension: where the last cancellation of the attempt came.
        delivery: how it came.
        category: what kind of thing is wrong.
        evidence: what was seen, in a line.
        detail: more of it, in several lines, such as the stack of a task that was left behind.
        kind: what it is within its category, without what is random or counted.
        seen: in how many runs of the attempt it was seen.
        runs: how many times the attempt was made.
        excuse: why it does not decide the verdict, if it does not.
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
        """What this has in common with equal findings, in this audit and in others.

        Ten digits, made of the category and the kind, and of the place: the file's name, the
        function, and the text of the line. Numbers of lines and of suspensions do not count, nor
        does how it was cancelled.
        """
        site = self.suspension.site
        place = ("", "", "")
        if site is not None:
            place = os.path.basename(site.file), site.code.co_qualname, _line_of(site)
        parts = (self.category, self.kind, *place)
        return blake2s("\0".join(parts).encode(errors="replace"), digest_size=5).hexdigest()

    @property
    def is_flaky(self) -> bool:
        """Whether it was not seen each time."""
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
        address: its name, for a replay.
        suspension: where the last cancellation came.
        after: where the earlier ones came, at a depth of 2 and more.
        delivery: how they came.
        outcome: how the scenario ended, such as ``"cancelled"`` or ``"raised OSError(5)"``.
        findings: what is wrong.
        unresolved: why the attempt says nothing, if it does not.
        detail: what was seen besides, where a single attempt is replayed.
        excused: what is wrong, too, and does not decide the verdict: each finding says why.
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
        """What this attempt alone comes to."""
        if self.findings:
            return Verdict.UNSAFE
        return Verdict.UNRESOLVED if self.unresolved else Verdict.SAFE


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """All that an audit has to say.

    Attributes:
        scenario: the scenario's name.
        target: where the command line finds it (``"file.py:name"``), if that is known.
        verdict: what it comes to.
        reason: why, in a line or more, where the verdict is unresolved or error.
        suspensions: where the scenario waits without any cancellation.
        attempts: what was tried, in order.
        deliveries: how it was cancelled.
        depth: how many times in a row, at most.
        loop: the kind of the event loop, such as ``"asyncio"``.
        python: the interpreter and its version.
        seconds: how long it all took.
        expected: leftovers that are not findings, and why: by design (`expect`), or since
            it is left behind without a cancellation, too.
        timeout: seconds that the scenario, and each use of the environment, might take.
        command: what makes one attempt again if its address is added, where that is neither
            ``withal audit`` nor a call of `audit`.
        schedules: how many random schedules were run, and of which seed, if any.
        children: whether tasks that only a loop that shuts down cancels were cancelled, too.
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
        """What is wrong, in the order of the attempts."""
        return tuple(finding for attempt in self.attempts for finding in attempt.findings)

    @property
    def excused(self) -> tuple[Finding, ...]:
        """What is wrong, too, and does not decide the verdict, in the order of the attempts."""
        return tuple(finding for attempt in self.attempts for finding in attempt.excused)

    def replay(self, address: str) -> str:
        """Return the command, or the call, that makes one attempt again, in full detail."""
        if self.command:
            return f"{self.command} {address}"
        if self.target is None:
            return f'audit({self.scenario}, ..., at="{address}")'
        loop = "" if self.loop == "asyncio" else f" --loop {self.loop}"
        timeout = "" if self.timeout == DEFAULT_TIMEOUT_SECONDS else f" --timeout {self.timeout:g}"
        return f"withal audit {shlex.quote(self.target)} --at {address}{loop}{timeout}"
