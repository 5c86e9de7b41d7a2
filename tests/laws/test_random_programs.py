"""Random programs of scopes: every law, in every one of them.

``make test`` runs some hundred. ``WITHAL_PROGRAMS=20000 pytest tests/laws/test_random_programs.py``
runs that many, each time others. Hypothesis reduces a program that fails, and shows it as Python
code; make it a test of the law that it broke, in the file of that law.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from tests.conftest import LOOPS
from tests.laws.programs import (
    Declared,
    Group,
    InScope,
    Manager,
    MoveOn,
    Open,
    Profile,
    Program,
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
        note("\n".join(witness.violations))
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
