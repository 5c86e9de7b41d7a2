"""Crowds: one victim among several users of the same environment, whose answers must be right."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import Task
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, final

from withal.audit.evidence import told, traceback_of
from withal.audit.naming import name_of
from withal.audit.record import Category
from withal.audit.residue import Piece
from withal.audit.scenario import Run, Scenario, Setup, takes_argument
from withal.audit.session import session

_PATIENCE = 1.0  # seconds that the others have to come through
_TURNS = 3  # of the loop, in which those ahead of the victim come to wait


@final
@dataclass(frozen=True, slots=True)
class _Crowd:
    environment: Any
    begun: asyncio.Event = field(default_factory=asyncio.Event)


def crowd(
    run: Callable[..., Any],
    n: int,
    *,
    setup: Setup | None = None,
    probe: Run | None = None,
    name: str = "",
) -> Scenario:
    """Return a scenario in which n users share an environment, and one of them is cancelled.

    Half of the others begin before the victim, and half after it. Each is to check that the answer
    it gets is its own, and to raise if it is not: what the others raise is a "wrong answer", and
    who does not come through in time has lost a "lock or slot".

    Args:
        run: an async function, called with the environment and with the number of the user, from
            0 for the victim, as far as it takes them.
        n: how many users there are, the victim included.
        setup: as of a `Scenario`.
        probe: as of a `Scenario`.
        name: what reports call it; by default the name of `run`.

    Raises:
        ValueError: if n is less than 2.

    Example:
        >>> from contextlib import asynccontextmanager, nullcontext
        >>> from withal.audit import audit
        >>> @asynccontextmanager
        ... async def a_lock():
        ...     yield asyncio.Lock()
        >>> async def use(lock, number):
        ...     async with lock:
        ...         await asyncio.sleep(0)
        >>> str(audit(crowd(use, 3, setup=a_lock)).verdict)
        'safe'
    """
    if n < 2:
        raise ValueError(f"n is how many users there are, 2 or more; got {n}")

    @asynccontextmanager
    async def crowded() -> AsyncGenerator[_Crowd]:
        async with nullcontext() if setup is None else setup() as environment:
            crowd = _Crowd(environment)
            async with _others(run, n, crowd, has_setup=setup is not None):
                yield crowd

    async def victim(crowd: _Crowd) -> None:
        crowd.begun.set()
        await _called(run, crowd, 0, has_setup=setup is not None)

    async def probe_again(crowd: _Crowd) -> None:
        assert probe is not None
        await (probe(crowd.environment) if takes_argument(probe) else probe())

    # What is defined in the file of the function counts as the scenario's own.
    victim.__wrapped__ = run  # type: ignore[attr-defined]
    victim.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("crowd", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    again = None if probe is None else probe_again
    return Scenario(victim, crowded, again, name or f"{name_of(run)} in a crowd of {n}")


@asynccontextmanager
async def _others(
    run: Callable[..., Any], n: int, crowd: _Crowd, *, has_setup: bool
) -> AsyncGenerator[None]:
    """Have the others use the environment, and note who fails or does not come through."""
    current = session.get()
    users: dict[Task[None], int] = {}

    async def use(number: int, *, is_ahead: bool) -> None:
        if not is_ahead:
            await crowd.begun.wait()
        await _called(run, crowd, number, has_setup=has_setup)

    for number in range(1, n):
        is_ahead = number <= (n - 1) // 2
        user = asyncio.create_task(use(number, is_ahead=is_ahead), name=f"user {number}")
        users[user] = number
        if current is not None:
            current.tasks.add(user)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    try:
        yield
        crowd.begun.set()
        patience = _PATIENCE if current is None else min(_PATIENCE, current.timeout / 2)
        _, waiting = await asyncio.wait(users, timeout=patience)
        for user, number in users.items():
            piece = _piece(user, number, patience, is_waiting=user in waiting)
            if piece is not None and current is None:
                raise AssertionError(piece.evidence)
            if piece is not None and current is not None:
                current.noted.append(piece)
    finally:
        for user in users:
            user.cancel()
        await asyncio.wait(users)


def _piece(user: Task[None], number: int, patience: float, *, is_waiting: bool) -> Piece | None:
    if is_waiting:
        words = f"user {number} of the crowd has not come through within {patience:g} s"
        return Piece(Category.SLOT, "crowd", words)
    if user.cancelled():
        words = f"user {number} of the crowd was cancelled, and nobody has cancelled it"
        return Piece(Category.WRONG_ANSWER, "crowd", words)
    error = user.exception()
    if error is None:
        return None
    words = f"user {number} of the crowd raised {told(error)}"
    return Piece(Category.WRONG_ANSWER, "crowd", words, traceback_of(error))


async def _called(run: Callable[..., Any], crowd: _Crowd, number: int, *, has_setup: bool) -> None:
    given = (crowd.environment, number) if has_setup else (number,)
    takes = len(inspect.signature(run).parameters)
    made = run(*given[:takes])
    if hasattr(made, "__aenter__"):
        async with made:
            await asyncio.sleep(0)
    else:
        await made
