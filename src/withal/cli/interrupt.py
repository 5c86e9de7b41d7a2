"""Interrupts: SIGINT and SIGTERM become one cancellation and a conventional exit status."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any

from withal._core.errors import WithalError
from withal.cli.complaint import complain

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(command: Coroutine[Any, Any, int]) -> int:
    """Run a command in an event loop of its own, and return the status to exit with.

    The first SIGINT or SIGTERM cancels the command, once; what it holds closes. Then one line says
    so, and the status is 128 and the signal's number, as shells have it. More signals change
    nothing: how long closing may take is bounded by the scopes that close. A command that is done
    before the signal takes effect ends with its own status.
    """
    return asyncio.run(_main(command))


async def _main(command: Coroutine[Any, Any, int]) -> int:
    task = asyncio.create_task(command, name="command")
    with _cancelled_by_signals(task) as received:
        await asyncio.wait((task,))
    if not received:
        return task.result()
    return _interrupted(task, received[0])


@contextmanager
def _cancelled_by_signals(task: asyncio.Task[int]) -> Generator[list[signal.Signals]]:
    """Cancel a task on the first signal, and yield the list that it will be in."""
    received: list[signal.Signals] = []

    def receive(number: signal.Signals) -> None:
        if not received and task.cancel():
            received.append(number)

    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        loop.add_signal_handler(each, receive, each)
    try:
        yield received
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)


def _interrupted(task: asyncio.Task[int], number: signal.Signals) -> int:
    try:
        return task.result()
    except asyncio.CancelledError:
        complain(f"stopped by {number.name}; what was open is closed")
    except WithalError as error:  # of closing
        complain(f"stopped by {number.name}; {error}")
    return 128 + number
