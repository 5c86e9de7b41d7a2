"""Interrupts: a command that SIGINT or SIGTERM has ended says so in a line."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from typing import Any

import withal
from withal._core.errors import WithalError
from withal.cli.complaint import complain


def run_until_signal(command: Coroutine[Any, Any, int]) -> int:
    """Run a command as `withal.run` does, on uvloop if there is one, and return its status.

    After a signal that is 128 and the signal's number, as shells have it. What a scope has to say
    of its closing is told in a line, and the status is then 1. After a second signal
    `withal.run` has told in a line what was given up, if anything.
    """
    try:
        return withal.run(command, uvloop=True)
    except SystemExit as stopped:
        status = int(str(stopped.code))
        if stopped.__cause__ is None:
            complain(f"stopped by {signal.Signals(status - 128).name}; what was open is closed")
        return status
    except WithalError as error:
        complain(str(error))
        return 1
