"""What the audit must report, and what it must not, kind by kind, in a few lines each."""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import uuid
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.audit import mutants
from tests.audit.mutants import a_while, take
from withal.audit import Category, Delivery, Report, Scenario, Verdict, audit
from withal.audit.report.record import Finding

pytestmark = pytest.mark.slow

before_312 = pytest.mark.skipif(sys.version_info >= (3, 12), reason="wait_for was mended in 3.12")


async def turn() -> None:
    await asyncio.sleep(0)


def found(report: Report) -> set[tuple[str, Category]]:
    return {(each.address, each.category) for each in report.findings}


# What is the same: names that are random


def complain_of(name: str) -> None:
    warnings.warn(f"unclosed session {name}", ResourceWarning, stacklevel=2)


RANDOM = {
    "a temporary file": lambda: tempfile.mktemp(),
    "a token": lambda: secrets.token_hex(8),
    "an identifier": lambda: str(uuid.uuid4()),
    "a port": lambda: f"127.0.0.1:{secrets.randbelow(60000)}",
    "an address": lambda: f"<Session at {hex(id(object()) + secrets.randbelow(9999))}>",
    "a URL": lambda: f"http://localhost:{secrets.randbelow(60000)}/{secrets.token_urlsafe()}",
}


@pytest.mark.parametrize("kind", RANDOM)
def test_what_is_left_each_time_under_a_random_name_is_normal(kind: str) -> None:
    async def complain_and_rest() -> None:
        complain_of(RANDOM[kind]())
        await turn()

    assert audit(complain_and_rest).verdict is Verdict.SAFE


@pytest.mark.parametrize("kind", RANDOM)
def test_one_more_under_a_random_name_is_found_and_has_one_key(kind: str) -> None:
    async def complain_twice_if_cancelled() -> None:
        complain_of(RANDOM[kind]())
        try:
            await turn()
        except asyncio.CancelledError:
            complain_of(RANDOM[kind]())
            raise

    report = audit(complain_twice_if_cancelled)
    assert found(report) == {("1:early", Category.DROPPED), ("1:late", Category.DROPPED)}
    assert len({each.key for each in report.findings}) == 1


# A finding is made again


def test_a_finding_that_comes_each_time_says_so() -> None:
    async def leak() -> None:
        try:
            await turn()
        except asyncio.CancelledError:
            take()
            raise

    report = audit(leak, deliveries="early")
    mutants.clear()
    (finding,) = report.findings
    assert (finding.seen, finding.runs, finding.is_flaky) == (3, 3, False)
    assert "(3 of 3)" in str(report)


def test_a_finding_that_comes_once_is_flaky() -> None:
    leaked = False

    async def leak_once() -> None:
        nonlocal leaked
        try:
            await turn()
        except asyncio.CancelledError:
            if not leaked:
                take()
                leaked = True
            raise

    report = audit(leak_once, deliveries="early")
    mutants.clear()
    (finding,) = report.findings
    assert (finding.seen, finding.runs, finding.is_flaky) == (1, 3, True)
    assert "(flaky: 1 of 3)" in str(report)
    assert report.verdict is Verdict.UNSAFE


def test_what_was_made_again_once_is_not_made_again_at_each_attempt() -> None:
    runs = 0

    async def leak() -> None:
        nonlocal runs
        runs += 1
        for _ in range(10):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                take()
                raise

    report = audit(leak)
    mutants.clear()
    assert len(report.findings) == 20
    assert runs == 3 + 20 + 2


# Keys


def of_lines(lines: str) -> Finding:
    """Return the one finding of a scenario that leaks at its only wait, as a file of its own."""
    name = str(Path(tempfile.mkdtemp()) / "leaks.py")
    source = f"import asyncio, os\n{lines}\n"
    Path(name).write_text(source)
    namespace: dict[str, Any] = {"take": take}
    exec(compile(source, name, "exec"), namespace)
    assert isinstance(namespace["leak"], FunctionType)
    report = audit(namespace["leak"], deliveries="early")
    mutants.clear()
    return report.findings[0]


LEAK = """
async def leak():
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        take()
        raise
"""


def test_a_key_survives_that_lines_are_renumbered() -> None:
    once, later = of_lines(LEAK), of_lines("\n\n\n" + LEAK)
    assert once.key == later.key
    assert len(once.key) == 10
    assert once.suspension.site is not None
    assert later.suspension.site is not None
    assert once.suspension.site.line + 3 == later.suspension.site.line


def test_a_key_survives_that_suspensions_are_renumbered() -> None:
    earlier = "    " + "await asyncio.sleep(0)\n    " * 2 + "try:"
    once, later = of_lines(LEAK), of_lines(LEAK.replace("    try:", earlier))
    assert (once.address, later.address) == ("1:early", "3:early")
    assert once.key == later.key


def test_a_key_is_of_the_place() -> None:
    other = of_lines(LEAK.replace("asyncio.sleep(0)", "asyncio.sleep(0.001)"))
    assert of_lines(LEAK).key != other.key


# Interrupted is not empty


@pytest.mark.slow
def test_an_audit_whose_time_is_over_has_what_was_seen_so_far() -> None:
    async def take_long() -> None:
        for _ in range(20):
            await asyncio.sleep(0.02)

    report = audit(take_long, max_time=2.5)
    assert report.verdict is Verdict.UNRESOLVED
    assert 0 < len(report.attempts) < 40
    assert "stopped early, after " in report.reason
    assert "its time of 2.5 s is over" in report.reason


@pytest.mark.slow
def test_what_was_found_before_the_time_was_over_is_unsafe_all_the_same() -> None:
    async def leak_and_take_long() -> None:
        try:
            for _ in range(20):
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            take()
            raise

    report = audit(leak_and_take_long, deliveries="early", max_time=2.5)
    mutants.clear()
    assert report.verdict is Verdict.UNSAFE
    assert "stopped early, after " in str(report)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="max_time"):
        audit(turn, max_time=seconds)


# What asyncio.wait_for of CPython 3.11 does


async def waits_for_an_answer() -> None:
    await asyncio.wait_for(a_while(), 1)
    await turn()


@before_312
def test_what_wait_for_swallows_by_itself_is_reported_apart() -> None:
    report = audit(waits_for_an_answer)
    assert report.verdict is Verdict.SAFE, report
    (excused,) = report.excused
    assert (excused.address, excused.category) == ("1:late", Category.SWALLOWED)
    assert "asyncio.wait_for of CPython 3.11" in str(report)


@before_312
def test_a_loop_around_wait_for_is_not_to_blame() -> None:
    async def serve() -> None:
        for _ in range(3):
            await asyncio.wait_for(a_while(), 1)

    report = audit(serve, deliveries="late")
    assert report.verdict is Verdict.SAFE
    assert [each.address for each in report.excused] == ["1:late", "2:late", "3:late"]


def test_what_the_scenario_swallows_around_wait_for_is_found() -> None:
    async def carry_on() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(a_while(), 1)

    assert ("1:early", Category.SWALLOWED) in found(audit(carry_on))


# The place that is told first


def test_the_place_is_the_innermost_outside_of_libraries() -> None:
    async def wait_in_a_library() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        asyncio.get_running_loop().call_later(0.001, lock.release)
        async with lock:
            take()

    report = audit(wait_in_a_library, deliveries="late")
    mutants.clear()
    (suspension,) = report.suspensions
    assert suspension.site is not None
    assert suspension.site.code is wait_in_a_library.__code__
    assert suspension.innermost is not None
    assert suspension.innermost.code is asyncio.Lock.acquire.__code__


def test_a_failed_assertion_shows_its_line() -> None:
    @asynccontextmanager
    async def numbers() -> AsyncGenerator[list[int]]:
        yield []

    async def append(numbers: list[int]) -> None:
        numbers.append(1)
        await turn()
        numbers.clear()

    async def empty(numbers: list[int]) -> None:
        assert not numbers

    report = audit(append, setup=numbers, probe=empty, deliveries="early")
    (finding,) = report.findings
    assert "it raised AssertionError" in finding.evidence
    # pytest gives assertions of its tests a text of its own
    assert "assert" in finding.evidence


# What only the garbage collector closes


@pytest.mark.parametrize("cyclic", [False, True])
def test_what_the_collector_closes_is_distinguished_from_what_is_freed_at_once(
    cyclic: bool,
) -> None:
    async def drop() -> None:
        file: Any = Path("/dev/null").open()  # noqa: SIM115
        try:
            await turn()
        except asyncio.CancelledError:
            if cyclic:
                held: list[Any] = [file]
                held.append(held)
            raise
        file.close()

    kind = Category.COLLECTED if cyclic else Category.DROPPED
    assert found(audit(drop)) == {("1:early", kind), ("1:late", kind)}


# Names of tasks


def test_a_task_is_called_by_its_name_and_its_function() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    async def leave() -> None:
        task = asyncio.create_task(waits(), name="reader")
        other = asyncio.create_task(waits())
        await turn()
        task.cancel()
        other.cancel()

    told = {each.evidence.partition(" still")[0] for each in audit(leave).findings}
    name = f"{test_a_task_is_called_by_its_name_and_its_function.__name__}.waits"
    assert told == {f"task reader ({name})", f"task {name}"}


# "Safe" was tried


@pytest.mark.parametrize("deliveries", [["early"], ["late"], list(Delivery)])
def test_with_no_attempt_made_nothing_is_safe(deliveries: list[str]) -> None:
    async def return_at_once() -> None: ...

    report = audit(Scenario(return_at_once), deliveries=deliveries)
    assert not report.attempts
    assert report.verdict is Verdict.UNRESOLVED
