"""Running a command so that SIGINT or SIGTERM ends it with a message."""

from __future__ import annotations

import signal

import withal
from withal._core.aliases import Coro
from withal._core.errors import WithalError
from withal.cli.console import print_error


def run_until_signal(command: Coro[int]) -> int:
    """Run a command with `withal.run`, on uvloop if it is installed, and return its exit status.

    After a signal the status is 128 plus the number of the signal, as in shells. If a scope fails
    to close, its error is printed in a line and the status is 1. After a second signal `withal.run`
    itself prints the abandoned resources.
    """
    try:
        return withal.run(command, uvloop=True)
    except SystemExit as stopped:
        status = int(str(stopped.code))
        if stopped.__cause__ is None:
            name = signal.Signals(status - 128).name
            print_error(f"stopped by {name}; all open resources were closed")
        return status
    except WithalError as error:
        print_error(str(error))
        return 1
