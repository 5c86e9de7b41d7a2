"""What cannot be audited is told as such, each with its own message, and does no harm."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import pytest

from tests.audit.mutants import a_while
from tests.conftest import LOOPS
from withal.audit import Category, Report, Scenario, Verdict, audit, survey
from withal.inspection.processes import child_processes


async def turn(*_: object) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def environment() -> AsyncGenerator[int]:
    yield 1


every_loop = pytest.mark.parametrize("loop", LOOPS)


def reason(report: Report, verdict: Verdict = Verdict.ERROR) -> str:
    assert report.verdict is verdict
    assert not report.attempts or verdict is not Verdict.ERROR
    # The text has places as they are shown, from the folder of the program on.
    shown = re.sub(r"/\S*/tests/", "tests/", report.reason)
    assert shown in report.text()
    return report.reason


# The scenario


@every_loop
def test_a_scenario_that_fails_by_itself(loop: str) -> None:
    async def fails() -> None:
        await turn()
        raise OSError("refused")

    told = reason(audit(fails, loop_factory=LOOPS[loop]))
    assert re.fullmatch(r"it raises OSError: refused at .*test_bad_input\.py:\d+ in fails", told)


def test_a_scenario_that_nothing_can_wake() -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    told = reason(audit(hangs))
    assert told.startswith("it does not end: nothing can wake it any more, and it waits at ")
    assert told.endswith(" in hangs")


def test_threads_older_than_the_loop_may_wake_it() -> None:
    with ThreadPoolExecutor() as kept:

        async def waits_for_a_thread() -> None:
            await asyncio.get_running_loop().run_in_executor(kept, time.sleep, 0.06)

        assert audit(waits_for_a_thread, deliveries=["late"]).verdict is Verdict.SAFE


@every_loop
def test_a_scenario_that_takes_too_long(loop: str) -> None:
    async def hangs() -> None:
        await asyncio.sleep(60)

    told = reason(audit(hangs, timeout=0.1, loop_factory=LOOPS[loop]))
    assert told.startswith("it does not end: 0.1 s have passed, and it waits at ")


def test_a_scenario_that_never_suspends() -> None:
    async def never() -> None:
        pass

    told = reason(audit(never), Verdict.UNRESOLVED)
    assert told.startswith("it never suspends, so it cannot be cancelled; if it would wait for ")
    assert "withal.audit.contended" in told


def test_a_scenario_that_needs_arguments() -> None:
    async def needs(host: str, port: int) -> None: ...

    with pytest.raises(
        TypeError, match="is called with no argument: missing a required argument: "
    ) as e:
        audit(needs)
    assert str(e.value).endswith("'host'; pass a setup, or use functools.partial")
    with pytest.raises(
        TypeError, match="is called with the value of the setup as its only argument"
    ):
        audit(needs, setup=environment)


def test_a_scenario_that_is_not_deterministic() -> None:
    runs = 0

    async def alternates() -> None:
        nonlocal runs
        runs += 1
        await (a_while() if runs % 2 else turn())

    told = reason(audit(alternates), Verdict.UNRESOLVED)
    assert told.startswith("it is not deterministic: at suspension 1 scenario awaits a turn of ")
    assert " in one run, Future at " in told


def test_a_scenario_that_suspends_more_often_each_time() -> None:
    runs = 0

    async def grows() -> None:
        nonlocal runs
        runs += 1
        for _ in range(runs):
            await turn()

    told = reason(audit(grows), Verdict.UNRESOLVED)
    assert "it is not deterministic: scenario is suspended 6 times in one run, 7 times in " in told


@every_loop
def test_a_scenario_that_closes_the_loop(loop: str) -> None:
    async def closes() -> None:
        await turn()
        asyncio.get_running_loop().close()

    assert reason(audit(closes, loop_factory=LOOPS[loop])) == "it closes the event loop"


@every_loop
def test_a_scenario_that_stops_the_loop(loop: str) -> None:
    async def stops() -> None:
        asyncio.get_running_loop().stop()
        await a_while()

    assert reason(audit(stops, loop_factory=LOOPS[loop])) == "it stops the event loop"


@every_loop
def test_a_scenario_that_stops_the_loop_when_it_is_cancelled(loop: str) -> None:
    async def stops() -> None:
        try:
            await turn()
        finally:
            if sys.exception() is not None:
                asyncio.get_running_loop().stop()

    report = audit(stops, deliveries="early", loop_factory=LOOPS[loop])
    assert [each.evidence for each in report.findings] == ["it stops the event loop"]


@every_loop
def test_a_scenario_that_ends_the_program(loop: str) -> None:
    async def ends() -> None:
        await turn()
        sys.exit(3)

    assert reason(audit(ends, loop_factory=LOOPS[loop])) == "it ends the program: SystemExit(3)"


@every_loop
def test_a_scenario_that_ends_the_program_when_it_is_cancelled(loop: str) -> None:
    async def ends() -> None:
        try:
            await turn()
        except asyncio.CancelledError:
            sys.exit(3)

    report = audit(ends, deliveries="early", loop_factory=LOOPS[loop])
    assert {each.category for each in report.findings} == {Category.CLEANUP}
    assert "SystemExit" in report.findings[0].evidence


def test_a_scenario_that_cancels_itself() -> None:
    async def gives_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await turn()

    told = reason(audit(gives_up))
    assert told.startswith("it raises CancelledError without a cancellation at ")
    assert told.endswith("in turn")


@every_loop
def test_a_scenario_that_swaps_the_task_factory(loop: str) -> None:
    async def swaps() -> None:
        asyncio.get_running_loop().set_task_factory(None)
        await asyncio.create_task(turn())

    told = reason(audit(swaps, loop_factory=LOOPS[loop]), Verdict.UNRESOLVED)
    assert told.startswith("it replaces the audit's task factory; tasks ")


def test_processes_that_a_scenario_leaves_are_reported_and_ended() -> None:
    before = set(child_processes())

    async def spawns() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        process._transport._proc = None  # type: ignore[attr-defined]  # nor ended when collected
        await turn()

    report = audit(spawns, deliveries="early")
    assert set(child_processes()) == before
    assert any(each.startswith("process: 1 left behind") for each in report.expected)


@pytest.mark.slow
def test_a_scenario_that_forks_goes_on_in_one_process_alone() -> None:
    program = (
        "import asyncio, os\n"
        "from withal.audit import audit\n"
        "async def forks():\n"
        "    child = os.fork()\n"
        "    await asyncio.sleep(0)\n"
        "    if child: os.waitpid(child, 0)\n"
        "print(audit(forks, deliveries='early').attempts[0].address, flush=True)\n"
    )
    command = sys.executable, "-W", "ignore", "-c", program
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("1:early\n", "")


def test_a_scenario_that_blocks_is_audited_all_the_same() -> None:
    async def blocks() -> None:
        time.sleep(0.02)
        await turn()

    audit(blocks, timeout=0.01).check()


# What is not a scenario


@contextmanager
def synchronous() -> Generator[None]:
    yield


async def generator() -> AsyncGenerator[int]:
    yield 1


NO_SCENARIOS = [
    (lambda: 3, "returned 3, which is neither an awaitable nor an async context manager"),
    (generator, "context manager; decorate generator with contextlib.asynccontextmanager"),
    (synchronous, "context manager; a synchronous one never suspends, so it cannot be cancelled"),
]


@pytest.mark.parametrize(("scenario", "told"), NO_SCENARIOS)
def test_what_returns_nothing_to_await(scenario: Callable[[], Any], told: str) -> None:
    assert told in reason(audit(scenario))


@pytest.mark.parametrize("part", ["run", "setup", "probe"])
@pytest.mark.parametrize("made", [turn, environment, asyncio.Lock])
def test_what_is_made_already(part: str, made: Callable[[], Any]) -> None:
    thing = made()
    parts: dict[str, Any] = {"run": turn, "setup": environment} | {part: thing}
    with pytest.raises(TypeError) as caught:
        Scenario(**parts)
    assert str(caught.value).startswith(f"{part} is called for each attempt: pass the function, ")
    if hasattr(thing, "gen"):
        asyncio.run(thing.gen.aclose())


@pytest.mark.parametrize("part", ["run", "setup", "probe"])
def test_what_cannot_be_called(part: str) -> None:
    parts: dict[str, Any] = {"run": turn, "setup": environment} | {part: 3}
    with pytest.raises(TypeError, match=f"^{part} must be a callable that returns .*; got 3$"):
        Scenario(**parts)


def test_a_scenario_with_parts_is_given_no_others() -> None:
    whole = Scenario(turn, setup=environment)
    with pytest.raises(
        TypeError, match="turn is a Scenario with its own setup and probe; pass none"
    ):
        audit(whole, probe=turn)


# The environment


def refuse() -> None:
    raise OSError("no server")


@asynccontextmanager
async def fails_to_start() -> AsyncGenerator[None]:
    await turn()
    refuse()
    yield


@asynccontextmanager
async def fails_to_stop() -> AsyncGenerator[None]:
    yield
    raise OSError("no answer")


@asynccontextmanager
async def hangs_at_its_start() -> AsyncGenerator[None]:
    await asyncio.sleep(60)
    yield


@asynccontextmanager
async def hangs_at_its_end() -> AsyncGenerator[None]:
    yield
    await asyncio.sleep(60)


ENVIRONMENTS = [
    (fails_to_start, "the setup raised OSError: no server"),
    (fails_to_stop, "the tear-down raised OSError: no answer"),
    (hangs_at_its_start, "the setup did not end within 0.1 s"),
    (hangs_at_its_end, "the tear-down did not end within 0.1 s"),
    (lambda: 3, "setup returned 3, which is not an async context manager"),
]


def test_a_process_ends_although_the_loop_is_stopped_again_and_again() -> None:
    kept = list[subprocess.Popen[bytes]]()

    async def stops() -> None:
        kept.append(subprocess.Popen(["sleep", "60"]))
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.stop()
            loop.call_soon(again)

        again()
        await turn()

    before = set(child_processes())
    assert reason(audit(stops)) == "it stops the event loop"
    for process in kept:
        process.wait()
    assert set(child_processes()) == before


@every_loop
def test_a_scenario_that_cancels_all_tasks(loop: str) -> None:
    async def cancels_all() -> None:
        await turn()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await turn()

    told = reason(audit(cancels_all, loop_factory=LOOPS[loop]))
    assert told == "it cancels tasks that are not its own"


class EndOfAll(BaseException):
    pass


@pytest.mark.parametrize("error", [asyncio.CancelledError, EndOfAll])
def test_an_environment_that_fails_with_no_exception(error: type[BaseException]) -> None:
    @asynccontextmanager
    async def fails(*, at_once: bool) -> AsyncGenerator[int]:
        if at_once:
            raise error
        yield 1
        raise error

    told = f"raised {error.__name__}"
    assert reason(audit(turn, setup=partial(fails, at_once=True))) == f"the setup {told}"
    assert reason(audit(turn, setup=partial(fails, at_once=False))) == f"the tear-down {told}"


@pytest.mark.parametrize(("setup", "told"), ENVIRONMENTS)
def test_an_environment_that_cannot_be_had(setup: Callable[[], Any], told: str) -> None:
    assert reason(audit(turn, setup=setup, timeout=0.1)) == told


@pytest.mark.parametrize(("setup", "told"), NO_SCENARIOS[1:])
def test_a_setup_that_makes_no_manager(setup: Callable[[], Any], told: str) -> None:
    hint = told.partition("; ")[2].replace("generator", "setup")
    told = reason(audit(turn, setup=setup))
    assert "which is not an async context manager; " in told
    assert told.endswith(hint)


def test_a_probe_that_fails_by_itself() -> None:
    async def probe(_: int) -> None:
        raise AssertionError("not as it should be")

    told = reason(audit(turn, setup=environment, probe=probe))
    assert told == (
        "its probe fails without any cancellation: "
        "used again immediately, it raised AssertionError: not as it should be"
    )


def test_an_environment_that_the_cancellation_breaks_is_a_finding() -> None:
    @asynccontextmanager
    async def environment() -> AsyncGenerator[list[int]]:
        used = list[int]()
        yield used
        if used:
            raise ValueError("something\nis still used")

    async def use(used: list[int]) -> None:
        used.append(1)
        await turn()
        used.pop()

    report = audit(use, setup=environment, deliveries="early")
    assert [each.evidence for each in report.findings] == [
        "the tear-down raised ValueError: something is still used"
    ]


# The other arguments


WRONG = [
    (
        {"deliveries": ["soon"]},
        "unknown delivery 'soon'; choose from early, late, anyio, timeout, err",
    ),
    ({"deliveries": "soon"}, "unknown delivery 'soon'"),
    ({"deliveries": []}, "deliveries is empty; name at least one"),
    ({"depth": 0}, "depth must be 1 or more; got 0"),
    ({"timeout": 0}, "timeout must be more than zero seconds; got 0"),
    ({"timeout": float("nan")}, "timeout must be more than zero seconds; got nan"),
    ({"at": "3"}, "'3' is not a valid attempt address; write the suspension's number and the del"),
    ({"at": "0:early"}, "'0:early' is not a valid attempt address"),
    ({"at": "9:early"}, "there is no suspension 9; the last is 1"),
    ({"at": "1+3:early"}, "after 1:early the task is suspended 0 times"),
    ({"at": "1:error"}, "error does not apply at suspension 1"),
]


@pytest.mark.parametrize(("options", "told"), WRONG)
def test_a_value_that_is_none(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="^.*" + re.escape(told)):
        audit(turn, **options)


def test_one_delivery_alone_needs_no_list() -> None:
    assert [each.address for each in audit(turn, deliveries="late").attempts] == ["1:late"]


def test_a_factory_that_makes_no_loop() -> None:
    with pytest.raises(TypeError, match="loop_factory returned 3, which is not an event loop"):
        audit(turn, loop_factory=lambda: 3)  # type: ignore[arg-type,return-value]


async def test_an_audit_in_a_running_loop() -> None:
    for each in audit, survey:
        with pytest.raises(RuntimeError, match="runs its own event loops; call it where no"):
            each(turn)


# What is put back


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, None])
@pytest.mark.parametrize("when_cancelled", [False, True])
def test_hooks_are_put_back_however_it_ends(
    error: type[BaseException] | None, when_cancelled: bool
) -> None:
    async def ends() -> None:
        try:
            await turn()
        except asyncio.CancelledError:
            if when_cancelled and error is not None:
                raise error from None
            raise
        if not when_cancelled and error is not None:
            raise error

    def hooks() -> tuple[object, ...]:
        states = gc.isenabled(), gc.get_freeze_count() > 0, list(warnings.filters)
        heard = sys.unraisablehook, threading.excepthook, warnings.showwarning
        return *heard, *states, threading.active_count()

    before = hooks()
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            audit(ends)
    else:
        audit(ends)
    assert hooks() == before


CHILD_IN_A_LOOP_THAT_IS_STOPPED = """
import asyncio
from withal.audit import audit


async def start_and_stop():
    child = await asyncio.create_subprocess_exec("sleep", "30")
    try:
        await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        loop = asyncio.get_running_loop()

        def stop():
            loop.call_soon(stop)
            loop.stop()

        stop()
        raise
    child.kill()
    await child.wait()


audit(start_and_stop, deliveries="early")
"""


@pytest.mark.slow
def test_a_child_of_a_loop_that_is_stopped_again_and_again_ends_without_a_word() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD_IN_A_LOOP_THAT_IS_STOPPED],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("times", [1, 2])
def test_a_scenario_that_cannot_be_repeated_says_so(times: int) -> None:
    runs = 0

    async def run_out() -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if runs > times:
            raise LookupError("none is left")

    report = audit(run_out)
    assert report.verdict is Verdict.ERROR
    assert report.reason.startswith("it cannot be repeated: it succeeded ")
    assert "LookupError: none is left" in report.reason


def test_an_order_alone_is_not_a_delivery() -> None:
    with pytest.raises(ValueError, match="deliveries"):
        audit(turn, deliveries="order")
