"""The audit as a whole: what it comes to, and that nothing of one attempt is in the next."""

from __future__ import annotations

import asyncio
import functools
import gc
import socket
import sys
import threading
import weakref
from asyncio import Future
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests.audit import mutants
from tests.audit.mutants import a_while, give_back, take
from tests.conftest import LOOPS
from withal.audit import (
    AuditError,
    Category,
    Delivery,
    Report,
    Verdict,
    audit,
    contended,
    expect,
    slow_proxy,
    survey,
)
from withal.inspection.processes import child_processes


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for what never ends."""
    monkeypatch.setattr("withal.audit.inspect.settle._SETTLE_SECONDS", 0.03)


@pytest.mark.slow
def test_what_a_timer_of_the_scenario_does_after_its_end_is_waited_for() -> None:
    opened: list[int] = []

    async def opens_later() -> None:
        timer = asyncio.get_running_loop().call_later(0.02, lambda: opened.append(take()))
        await a_while()
        timer.cancel()

    report = audit(opens_later)
    mutants.clear()
    assert [each.address for each in report.findings] == ["1:early", "1:late"]


@pytest.mark.slow
def test_a_race_that_a_cancellation_has_lost_is_run_again() -> None:
    runs = 0

    async def leaks_unless_it_is_quick() -> None:
        nonlocal runs
        runs += 1
        loop = asyncio.get_running_loop()
        answer: Future[None] = loop.create_future()
        if runs == 4:  # the first with a cancellation
            loop.call_soon(answer.set_result, None)
        else:
            loop.call_later(0.01, mutants.settle, answer, None)
        try:
            await answer
        except asyncio.CancelledError:
            take()
            raise

    report = audit(leaks_unless_it_is_quick, deliveries=["anyio"])
    mutants.clear()
    assert runs == 7  # what is found is made again, twice
    assert [each.category for each in report.findings] == [Category.DESCRIPTOR]


@pytest.mark.slow
def test_where_a_result_always_comes_first_the_cancellation_comes_late() -> None:
    async def child() -> int:
        return take()

    async def drops_the_result() -> None:
        give_back(await asyncio.create_task(child()))

    report = audit(drops_the_result, deliveries=["early"])
    mutants.clear()
    assert report.verdict is Verdict.UNSAFE


# Verdicts


async def turn() -> None:
    await asyncio.sleep(0)


async def leaks() -> None:
    fd = take()
    await turn()
    give_back(fd)


def outcome_of(report: Report) -> list[tuple[str, Category]]:
    mutants.clear()
    return [(each.address, each.category) for each in report.findings]


@pytest.mark.slow
def test_a_report_that_is_safe_checks_and_any_other_raises_with_its_text() -> None:
    report = audit(turn)
    report.check()
    assert report.verdict is Verdict.SAFE
    assert "evidence for the schedules that were tried, not a proof" in report.text()
    unsafe = audit(leaks)
    mutants.clear()
    for each in unsafe, survey(turn):
        with pytest.raises(AuditError) as caught:
            each.check()
        assert str(caught.value) == each.text()
        assert isinstance(caught.value, AssertionError)


def test_what_is_left_without_a_cancellation_is_normal_and_reported() -> None:
    async def always_leaks() -> None:
        take()
        await turn()

    report = audit(always_leaks)
    mutants.clear()
    assert report.verdict is Verdict.SAFE
    assert report.expected == (
        "descriptor (file): 1 left behind without a cancellation too, so this is not a finding",
    )


@pytest.mark.slow
def test_more_than_is_normal_is_a_finding() -> None:
    async def leaks_twice() -> None:
        take()
        second = take()
        await turn()
        give_back(second)

    assert outcome_of(audit(leaks_twice)) == [
        ("1:early", Category.DESCRIPTOR),
        ("1:late", Category.DESCRIPTOR),
    ]


def test_what_is_made_once_for_the_whole_program_is_no_leak() -> None:
    kept = list[int]()

    async def makes_once() -> None:
        if not kept:
            kept.append(take())
        await turn()

    report = audit(makes_once)
    mutants.clear()
    report.check()
    assert report.expected == ()


@pytest.mark.slow
def test_what_is_expected_is_no_finding_and_is_reported_with_the_reason() -> None:
    async def leaks_by_design() -> None:
        expect("descriptor", "/dev/null", why="one is kept for the next call")
        await leaks()

    report = audit(leaks_by_design)
    mutants.clear()
    report.check()
    assert report.expected == ("descriptor (/dev/null): one is kept for the next call",)


@pytest.mark.slow
def test_what_is_expected_hides_nothing_else() -> None:
    async def leaks_something_else() -> None:
        expect("descriptor", "/dev/zero", why="another one")
        expect("task", why="another category")
        await leaks()

    assert len(outcome_of(audit(leaks_something_else))) == 2


def test_an_expectation_needs_a_reason_and_a_category() -> None:
    with pytest.raises(ValueError, match="why is empty"):
        expect("thread", why=" ")
    with pytest.raises(ValueError, match="'threat' is not a valid Category"):
        expect("threat", why="a slip")


# What is not deterministic


def test_an_attempt_on_another_path_is_made_again() -> None:
    runs = 0

    async def strays() -> None:
        nonlocal runs
        runs += 1
        if runs == 4:  # the first attempt
            await a_while()
        await turn()

    report = audit(strays, deliveries="early")
    report.check()
    assert runs == 5


def test_a_path_that_is_never_found_again_is_unresolved_with_the_reason() -> None:
    runs = 0

    async def strays() -> None:
        nonlocal runs
        runs += 1
        if runs > 3:
            await a_while()
        await turn()

    report = audit(strays, deliveries="early")
    assert report.verdict is Verdict.UNRESOLVED
    (attempt,) = report.attempts
    assert attempt.unresolved == "its suspension 1 differed from the baseline in 12 runs"
    assert runs == 3 + 12
    assert attempt.unresolved in report.text()


def test_a_suspension_that_is_never_reached_again_is_unresolved() -> None:
    runs = 0

    async def stops_early() -> None:
        nonlocal runs
        runs += 1
        await turn()
        if runs <= 3:
            await turn()

    report = audit(stops_early, deliveries="early")
    first, second = report.attempts
    assert first.unresolved == ""
    assert second.unresolved == "0 of 1 cancellations were delivered, in 12 runs"
    assert report.verdict is Verdict.UNRESOLVED


# Several in a row, and one alone


async def leaks_at_the_second() -> None:
    fd = take()
    try:
        await turn()
    except BaseException:
        await turn()
        await turn()
        give_back(fd)
        raise
    give_back(fd)


@pytest.mark.slow
def test_a_second_cancellation_is_named_by_both() -> None:
    report = audit(leaks_at_the_second, depth=2)
    mutants.clear()
    assert [each.address for each in report.attempts] == [
        "1:early", "1+1:early", "1+2:early", "1:late", "1+1:late", "1+2:late",
    ]  # fmt: skip
    found = {each.address for each in report.findings}
    assert found == {"1+1:early", "1+2:early", "1+1:late", "1+2:late"}
    again = next(each for each in report.attempts if each.address == "1+2:early")
    assert [each.ordinal for each in again.after] == [1]
    assert again.after[0].chain[0].line < again.suspension.chain[0].line


@pytest.mark.slow
@pytest.mark.parametrize("address", ["1:early", "1+1:late", "1+2:early"])
def test_an_address_makes_one_attempt_again_with_what_came_after(address: str) -> None:
    whole = audit(leaks_at_the_second, depth=2)
    mutants.clear()
    (there,) = (each for each in whole.attempts if each.address == address)
    report = audit(leaks_at_the_second, at=address)
    mutants.clear()
    (again,) = report.attempts
    assert (again.address, again.suspension) == (there.address, there.suspension)
    assert [each.category for each in again.findings] == [each.category for each in there.findings]
    assert report.depth == address.count("+") + 1
    assert again.detail.startswith("after that the task was")
    assert address in report.replay(address)


# The environment, and how it is used again


def test_the_probe_uses_the_environment_at_once_and_when_it_has_come_to_rest() -> None:
    made = list[list[str]]()

    @asynccontextmanager
    async def environment() -> AsyncGenerator[list[str]]:
        made.append(["set up"])
        yield made[-1]
        made[-1].append("torn down")

    async def run(did: list[str]) -> None:
        did.append("run")
        await turn()

    async def probe(did: list[str]) -> None:
        did.append("probe")

    audit(run, setup=environment, probe=probe).check()
    assert len(made) == 3 + 2
    assert all(each == ["set up", "run", "probe", "probe", "torn down"] for each in made)


def test_what_goes_wrong_only_later_is_found_by_the_second_probe() -> None:
    @asynccontextmanager
    async def environment() -> AsyncGenerator[list[str]]:
        yield []

    async def run(broken: list[str]) -> None:
        try:
            await turn()
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(0.01, broken.append, "later")
            raise

    async def probe(broken: list[str]) -> None:
        if broken:
            raise LookupError("gone")

    report = audit(run, setup=environment, probe=probe, deliveries="early")
    assert [each.evidence for each in report.findings] == [
        "used again after it has settled, it raised LookupError: gone"
    ]
    assert report.findings[0].category is Category.WRONG_ANSWER


def test_contended_has_a_scenario_wait_and_wakes_it() -> None:
    @asynccontextmanager
    async def held() -> AsyncGenerator[asyncio.Lock]:
        lock = asyncio.Lock()
        async with contended(lock):
            assert lock.locked()
            yield lock

    async def acquire(lock: asyncio.Lock) -> None:
        async with lock:
            pass

    free = survey(acquire, setup=free_lock)
    assert free.suspensions == ()
    report = audit(acquire, setup=held, probe=acquire, deliveries=Delivery)
    assert [each.awaited for each in report.suspensions] == ["Future"]
    report.check()


@pytest.mark.parametrize("kind", [asyncio.Lock, asyncio.Semaphore, asyncio.Condition])
def test_asyncios_own_locks_are_safe(kind: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
    """A waiter in them never fails, and so is not made to."""

    @asynccontextmanager
    async def held() -> AsyncGenerator[AbstractAsyncContextManager[Any]]:
        lock = kind()
        async with contended(lock):
            yield lock

    async def acquire(lock: AbstractAsyncContextManager[Any]) -> None:
        async with lock:
            pass

    report = audit(acquire, setup=held, probe=acquire, deliveries=Delivery)
    report.check()
    assert {each.delivery for each in report.attempts} == set(Delivery) - {
        Delivery.ERROR,
        Delivery.ORDER,
    }


@asynccontextmanager
async def free_lock() -> AsyncGenerator[asyncio.Lock]:
    yield asyncio.Lock()


def test_contended_outside_of_an_audit_raises_if_a_waiter_never_comes_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("withal.audit.fixtures.contention._STARVATION_SECONDS", 0.05)

    async def main() -> None:
        lock = asyncio.Lock()
        async with contended(lock, hold=0.001):
            await lock.acquire()

    with pytest.raises(TimeoutError, match=r"the task that waits behind never gets it: "):
        asyncio.run(main())


@pytest.mark.slow
def test_a_slow_proxy_delays_both_ways_and_is_no_residue() -> None:
    delays = list[float]()

    @asynccontextmanager
    async def proxied() -> AsyncGenerator[tuple[str, int]]:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(1))
            await reader.read()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", server_port())
        async with server, slow_proxy("127.0.0.1", server_port(), latency=0.02) as address:
            yield address

    async def ask(address: tuple[str, int]) -> None:
        reader, writer = await asyncio.open_connection(*address)
        try:
            started = asyncio.get_running_loop().time()
            writer.write(b"x")
            await reader.read(1)
            delays.append(asyncio.get_running_loop().time() - started)
        finally:
            writer.close()

    before = set(child_processes())
    report = survey(ask, setup=proxied)
    assert report.verdict is Verdict.UNRESOLVED, report.text()
    assert min(delays) >= 0.04
    assert set(child_processes()) == before


@functools.cache
def server_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


# One attempt and the next


@pytest.mark.slow
def test_what_an_attempt_leaves_is_ended_before_the_next() -> None:
    tasks: weakref.WeakSet[asyncio.Task[bool]] = weakref.WeakSet()

    async def leaves_tasks() -> None:
        assert not tasks
        task = asyncio.create_task(asyncio.Event().wait())
        tasks.add(task)
        await turn()
        task.cancel()

    report = audit(leaves_tasks)
    assert [category for _, category in outcome_of(report)] == [Category.TASK, Category.TASK]
    assert not tasks


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_attempts() -> None:
    def objects_after(turns: int) -> int:
        async def scenario() -> None:
            task = asyncio.create_task(turn())
            for _ in range(turns):
                await turn()
            await task

        assert len(audit(scenario, deliveries="early").attempts) == turns + 1
        gc.collect()
        return len(gc.get_objects())

    objects_after(10)
    few, many = objects_after(20), objects_after(200)
    assert many - few < 50


@pytest.mark.slow
def test_what_is_found_does_not_keep_what_was_run_alive() -> None:
    class Payload: ...

    alive: weakref.WeakSet[Payload] = weakref.WeakSet()

    async def fails_when_cancelled() -> None:
        payload = Payload()
        alive.add(payload)
        try:
            await turn()
        finally:
            if sys.exception() is not None:
                raise LookupError(str(payload))

    report = audit(fails_when_cancelled)
    assert len(report.findings) == 2
    gc.collect()
    assert len(alive) == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_what_a_loop_opens_for_itself_is_not_left_behind(loop: str) -> None:
    async def rests() -> None:
        await asyncio.sleep(0)

    assert audit(rests, loop_factory=LOOPS[loop]).expected == ()


def test_an_error_that_ends_a_thread_is_heard() -> None:
    async def has_a_thread_fail() -> None:
        def work() -> None:
            if was_cancelled:
                raise ValueError("nobody waits for this")

        was_cancelled = True
        thread = threading.Thread(target=work)
        try:
            await asyncio.sleep(0)
            was_cancelled = False
        finally:
            thread.start()
            thread.join()

    report = audit(has_a_thread_fail, deliveries="early")
    (found,) = report.findings
    assert found.category is Category.CLEANUP
    assert "ValueError('nobody waits for this')" in found.evidence
    assert "in work" in found.detail
