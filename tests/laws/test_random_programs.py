"""Random programs of scopes: every law, in every one of them.

``make test`` runs some hundred. ``WITHAL_PROGRAMS=20000 pytest tests/laws/test_random_programs.py``
runs that many, each time others. Hypothesis reduces a program that fails, and shows it as Python
code; make it a test of the law that it broke, in the file of that law. Each program that fails,
reduced or not, is also written to a file in the folder for temporary files, for runs that are
stopped before Hypothesis shows anything.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from tests.conftest import LOOPS
from tests.laws.programs import (
    CancelAt,
    Declared,
    Enter,
    EnterScope,
    Group,
    InScope,
    Manager,
    MoveOn,
    Open,
    Pause,
    Profile,
    Program,
    Release,
    Spawn,
    Timeout,
    Wait,
    programs,
    run,
)
from tests.laws.witness import Witness
from withal import testing
from withal.testing import VirtualTimeLoop

ASKED = int(os.environ.get("WITHAL_PROGRAMS", "0"))
MADE = settings(
    deadline=None,
    derandomize=not ASKED,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
    print_blob=False,
    report_multiple_bugs=False,
)


FAILED = Path(tempfile.gettempdir(), f"withal-programs-{os.getpid()}.txt")


def some(share: float, few: int) -> settings:
    """Return the settings for so many programs, or for this share of those that were asked for."""
    return settings(MADE, max_examples=int(ASKED * share) or few)


def run_on(make: Callable[[], asyncio.AbstractEventLoop], program: Program) -> Witness:
    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(run(program))


def check(make: Callable[[], asyncio.AbstractEventLoop], program: Program) -> None:
    """Run a program, and show all that was unlawful in it."""
    witness = run_on(make, program)
    if witness.violations:
        violations = "\n".join(witness.violations)
        note(violations)
        with FAILED.open("a") as file:
            file.write(f"{program!r}\n{program}\n{violations}\n\n")
    assert witness.violations == []


@pytest.mark.slow
@pytest.mark.timeout(0)
@given(program=programs(Profile(foreign=False)))
@some(0.4, 150)
def test_what_becomes_of_each_cancellation_is_known(program: Program) -> None:
    check(VirtualTimeLoop, program)


@pytest.mark.slow
@pytest.mark.timeout(0)
@given(program=programs(Profile()))
@some(0.4, 150)
def test_with_cancel_scopes_task_groups_and_suppression(program: Program) -> None:
    check(VirtualTimeLoop, program)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("loop", LOOPS)
@given(program=programs(Profile(seconds=False)))
@some(0.1, 50)
def test_on_real_loops(loop: str, program: Program) -> None:
    check(LOOPS[loop], program)


def test_an_anyio_scope_that_cancels_in_each_turn_does_not_stop_virtual_time() -> None:
    # asyncio's task group waits for its branch through all that, and the branch for a timer.
    slow = Declared(Manager("a", opening=Wait(seconds=0.1)), ())
    group = Group(((Open(("a",)),),), ())
    program = Program((MoveOn(None, 3, (InScope("app", (group,)),)),), (slow,))
    assert testing.run(run(program)).violations == []


def test_a_cancellation_that_is_pending_when_a_timeout_begins_may_be_lost_to_it() -> None:
    # As in asyncio alone, below: the timeout takes the request for one from before.
    slow = Manager("a", opening=Wait(seconds=0.1))
    first = InScope("one", (Spawn("task", ()),), in_generator=True)
    second = InScope("two", (Timeout(0.1, (Enter(slow),)),))
    program = Program((first, second), (), (CancelAt(1),), is_exact=True)
    assert testing.run(run(program)).violations == []

    async def wait_through_a_cancellation() -> None:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            await asyncio.sleep(1)

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        async with asyncio.timeout(0.1):
            await wait_through_a_cancellation()

    with pytest.raises(TimeoutError):
        testing.run(main())


def test_a_task_that_a_part_of_itself_releases_is_abandoned_by_the_scope() -> None:
    group = Group(((Release("task"),),), ())
    inner = (Spawn("task", (group, Pause(Wait()))), Enter(Manager("a", opening=Wait(1))))
    program = Program((InScope("app", (EnterScope("inner", inner),)),), (), (CancelAt(1),))
    assert testing.run(run(program)).violations == []
