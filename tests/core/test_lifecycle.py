"""The phases of resources and scopes: each change is in the table, and one module makes them."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import FunctionType

import pytest
from hypothesis import HealthCheck, given, settings

from tests.laws.programs import Profile, Program, programs, run
from tests.support.phases import checked_phases
from tests.test_layers import MODULES
from withal import Scope
from withal._core.lifecycle import (
    CLOSED,
    CLOSING,
    OPEN,
    OPENING,
    TRANSITIONS,
    Phase,
    ResourcePhase,
    ScopePhase,
)
from withal.testing import VirtualTimeLoop

# What has other phases than those of resources and scopes.
OTHER_PHASES = {"withal._core.errors", "withal.lease.claim"}


@asynccontextmanager
async def manager(*, fails: bool = False) -> AsyncGenerator[None]:
    await asyncio.sleep(0)
    if fails:
        raise ValueError("planned")
    yield
    await asyncio.sleep(0)


def test_phases_only_advance() -> None:
    order = list(Phase)
    assert set(TRANSITIONS) == set(order)
    for phase, following in TRANSITIONS.items():
        assert all(order.index(each) > order.index(phase) for each in following)


@pytest.mark.parametrize(
    ("change", "phase"),
    [
        (ResourcePhase.set_opening, OPENING),
        (ResourcePhase.set_open, OPEN),
        (ResourcePhase.set_closing, CLOSING),
        (ResourcePhase.set_closed, CLOSED),
        (ScopePhase.set_open, OPEN),
        (ScopePhase.set_closing, CLOSING),
        (ScopePhase.set_closed, CLOSED),
    ],
)
def test_each_method_sets_one_phase(change: FunctionType, phase: Phase) -> None:
    thing = ScopePhase() if "Scope" in change.__qualname__ else ResourcePhase()
    change(thing)
    assert thing.phase is phase


async def test_all_transitions_of_the_table_occur() -> None:
    with checked_phases() as seen:
        async with Scope() as scope:
            await scope.enter(manager())
            await scope.enter(manager(), inline=True)
            scope.defer(asyncio.sleep, 0)
            await scope.spawn(asyncio.sleep(0))  # ends before it is closed
            scope.spawn(asyncio.sleep(60))
            with pytest.raises(ValueError, match="planned"):
                await scope.enter(manager(fails=True))
    assert seen == {(before, after) for before, rest in TRANSITIONS.items() for after in rest}


async def test_a_transition_that_is_not_in_the_table_is_detected() -> None:
    with checked_phases():
        thing = ResourcePhase()
        thing.set_opening()
        thing.set_open()
        thing.set_closed()
        with pytest.raises(AssertionError, match="is closed; it cannot become closing"):
            thing.set_closing()


@given(program=programs(Profile()))
@settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=40,
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.slow
def test_random_programs_make_only_the_transitions_of_the_table(program: Program) -> None:
    with checked_phases(), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        witness = runner.run(run(program))
    assert witness.violations == []


def test_only_the_lifecycle_sets_a_phase() -> None:
    for module, path in MODULES.items():
        source = path.read_text()
        if module in {"withal._core.lifecycle", *OTHER_PHASES} or ".phase" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Attribute(attr="phase", ctx=ast.Store() | ast.Del()):
                    pytest.fail(f"{module}:{node.lineno} sets a phase; call a method of its base")
                case _:
                    pass
