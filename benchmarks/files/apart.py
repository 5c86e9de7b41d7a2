"""A measurement in a process of its own: what a library leaves running does not disturb the next.

A library whose loop has ended can leave threads that go on: one of ayafileio 2.0.0 used a whole
core after its second loop. Beside it an idle loop was late by 17 ms in place of 0.5, and every
later measurement in that process was wrong.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

FORK = multiprocessing.get_context("fork")


class ApartError(Exception):
    """The measurement failed in its process; the message is that of the failure."""


def apart(measure: Callable[[], float]) -> float:
    """Return what `measure` returns in a fork of this process, which ends with it.

    Raises:
        ApartError: if `measure` raises, or its process ends without a result.
    """
    if threading.active_count() > 1:
        raise RuntimeError(f"threads would not be forked: {threading.enumerate()}")
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_report, args=(measure, sender))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        raise ApartError("its process ended without a result") from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if isinstance(result, str):
        raise ApartError(result)
    return float(result)


def _report(measure: Callable[[], float], sender: Connection) -> None:
    try:
        sender.send(measure())
    except BaseException as error:
        sender.send(repr(error))
    sys.stderr.flush()
    os._exit(0)  # without the exit handlers of a library, which may wait for its threads
