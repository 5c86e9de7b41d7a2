"""Records made by hand, with the sites of a real program."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

from tests.audit import waiting
from withal._core.site import Site
from withal.audit.report.record import (
    Attempt,
    AuditRecord,
    Category,
    Delivery,
    Finding,
    Suspension,
    Verdict,
)

HOSTILE = "</script><!--<img src=x onerror=alert(1)>&amp;'\"\x00\x1b[2J\n\u202e\u2028\udcff\ufffe🎈"
"""What no format may let through as it is."""


def suspensions_of(scenario: Coroutine[Any, None, object]) -> Iterator[Suspension]:
    """Step a coroutine to its end, and yield where it waits."""
    ordinal = 0
    while True:
        try:
            scenario.send(None)
        except StopIteration:
            return
        ordinal += 1
        yield Suspension(ordinal, "scenario", tuple(_chain(scenario)), "a turn of the loop")


def _chain(waiting_for: object) -> Iterator[Site]:
    while isinstance(waiting_for, Coroutine):
        frame = waiting_for.cr_frame  # type: ignore[attr-defined]  # a coroutine of Python's has one
        yield Site(frame.f_code, frame.f_lasti)
        waiting_for = waiting_for.cr_await  # type: ignore[attr-defined]


SUSPENSIONS = tuple(suspensions_of(waiting.use_pool()))
"""Two in ``connect``, two in the body, one in ``__aexit__``."""


def site_in_file(name: str) -> Site:
    """Return a site in a file of that name, which need not exist."""
    return Site(waiting.use_pool.__code__.replace(co_filename=name), 2)


def attempt(
    number: int,
    delivery: Delivery,
    *wrong: tuple[Category, str],
    suspension: Suspension | None = None,
    **more: Any,
) -> Attempt:
    """Return an attempt at a suspension of `SUSPENSIONS`, with findings of these kinds."""
    where = suspension or SUSPENSIONS[number - 1]
    address = f"{number}:{delivery}"
    findings = tuple(
        Finding(address, where, delivery, category, evidence, f"more of it\n  about {evidence}")
        for category, evidence in wrong
    )
    return Attempt(address, where, delivery, "cancelled", findings, **more)


def record(*attempts: Attempt, **changes: Any) -> AuditRecord:
    """Return the record of an audit in which this was tried, with the verdict that it comes to."""
    verdicts = {each.verdict for each in attempts}
    order = (Verdict.UNSAFE, Verdict.UNRESOLVED)
    plain = AuditRecord(
        scenario="use_pool",
        target="waiting.py:use_pool",
        verdict=next((each for each in order if each in verdicts), Verdict.SAFE),
        suspensions=SUSPENSIONS,
        attempts=attempts,
        deliveries=(Delivery.EARLY, Delivery.LATE),
        python="CPython 3.11.2",
        seconds=0.25,
    )
    return replace(plain, **changes)


def after(earlier: int, later: int, delivery: Delivery, *wrong: tuple[Category, str]) -> Attempt:
    """Return an attempt at a depth of 2."""
    plain = attempt(later, delivery, *wrong)
    address = f"{earlier}+{later}:{delivery}"
    findings = tuple(replace(each, address=address) for each in plain.findings)
    return replace(plain, address=address, after=(SUSPENSIONS[earlier - 1],), findings=findings)


UNSAFE = record(
    attempt(1, Delivery.EARLY),
    attempt(1, Delivery.LATE, (Category.DESCRIPTOR, "descriptor 7 is still open")),
    attempt(2, Delivery.EARLY, (Category.SLOT, "1 of 2 slots is still held")),
    attempt(
        2,
        Delivery.LATE,
        (Category.TASK, "the task `beat` still runs"),
        (Category.DESCRIPTOR, "descriptor 9 is still open"),
    ),
    attempt(3, Delivery.EARLY),
    attempt(3, Delivery.LATE, unresolved="the loop did not become idle within 5 s"),
    attempt(4, Delivery.LATE, unresolved="the loop did not become idle within 5 s"),
    attempt(5, Delivery.EARLY, (Category.CLEANUP, "OSError(9, 'Bad file descriptor')")),
    expected=("the cache's thread: it lives as long as the process",),
)
CANCELLING = tuple(each for each in Delivery if each is not Delivery.ORDER)
SAFE = record(*(attempt(number, each) for number in range(1, 6) for each in CANCELLING))
FAILED = record(
    verdict=Verdict.ERROR, reason="RuntimeError: no such host\nraised in setup", suspensions=()
)
EMPTY = record(verdict=Verdict.UNRESOLVED, reason="two runs waited at different places")
EVERYWHERE_HOSTILE = record(
    attempt(
        1,
        Delivery.EARLY,
        (Category.WRONG_ANSWER, HOSTILE),
        suspension=Suspension(1, HOSTILE, (site_in_file("/x/" + HOSTILE),), HOSTILE),
        detail=HOSTILE,
    ),
    attempt(2, Delivery.EARLY, unresolved=HOSTILE),
    scenario=HOSTILE,
    target=HOSTILE,
    reason=HOSTILE,
    python=HOSTILE,
    expected=(HOSTILE,),
)
ALL = {
    "unsafe": UNSAFE,
    "safe": SAFE,
    "failed": FAILED,
    "empty": EMPTY,
    "hostile": EVERYWHERE_HOSTILE,
    "deep": record(after(1, 2, Delivery.LATE, (Category.HANG, "it never ended")), depth=2),
    "nothing": record(suspensions=(), deliveries=()),
    "nowhere": record(
        attempt(
            1,
            Delivery.LATE,
            (Category.TASK, "it runs"),
            suspension=Suspension(1, "scenario", (), "Future"),
        ),
        suspensions=(),
    ),
}
