"""Cancels coroutines at suspensions, by the injector of the audit, or at turns of the loop."""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from withal.audit import Delivery
from withal.audit.engine.delivery import Deliverer, deliverer_of
from withal.audit.engine.injector import Injector

T = TypeVar("T")


class _Immediate:
    """Cancels the task before it is suspended, so that nothing it waits for has begun to end."""

    came_late = False

    def around(self, scenario: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
        return scenario

    def deliver(self, task: Task[Any], awaited: Future[Any] | None) -> None:
        task.cancel()


def injector_at(ordinals: Collection[int], *, late: bool = False) -> Injector:
    """Return what cancels a coroutine at its n-th suspensions, from 1.

    Early, while what it waits for is pending; late, when that is done and the task is about to go
    on: the value is there, and nothing gets it.
    """
    return Injector(ordinals, deliverer_of(Delivery.LATE if late else Delivery.EARLY))


Outcome = tuple[bool, object]
"""Whether it was cancelled, and if not, what it returned."""


async def cancelled_at(
    coroutine: Coroutine[Any, Any, Any], ordinal: int, *, late: bool
) -> Outcome | None:
    """Run a coroutine in a task, cancelled at its n-th suspension. None if there was none."""
    deliverer: Deliverer = deliverer_of(Delivery.LATE) if late else _Immediate()
    injector = Injector((ordinal,), deliverer)
    task = asyncio.create_task(injector.run(coroutine))
    await asyncio.wait([task])
    if not injector.strikes:
        await task
        return None
    return (True, None) if task.cancelled() else (False, task.result())


@dataclass(frozen=True)
class CancelledRun:
    """How a run ended that was cancelled at some turns of the loop."""

    turns: int
    accepted: int
    task: asyncio.Task[Any]


async def run_cancelled_at(
    main: Callable[[], Coroutine[Any, Any, object]], *at: int
) -> CancelledRun:
    """Run `main` in a task, and cancel it at these turns of the loop, counted from its start."""
    task = asyncio.get_running_loop().create_task(main())
    turn = accepted = 0
    while not task.done():
        accepted += sum(task.cancel() for each in at if each == turn)
        await asyncio.sleep(0)
        turn += 1
        assert turn < 2000, f"cancelled at {at}, it did not end"
    return CancelledRun(turn, accepted, task)
