"""Child processes of ``subprocess`` and of asyncio."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from withal.ledger.records import Ending
from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

PROCESS = Kind(
    "process", "process", 5, lambda process: process.returncode is not None, is_system=True
)
ASYNC_PROCESS = Kind(
    "process", "process", 5, lambda transport: transport.get_returncode() is not None
)


def follow_popen(tracker: Tracker) -> None:
    """Follow processes from their start until they are reaped."""
    book = tracker.book

    def started(process: object, *_: object, **__: object) -> None:
        caller = sys._getframe(2).f_code.co_filename
        if not caller.endswith(os.path.join("asyncio", "unix_events.py")):
            book.opened(process, PROCESS)

    def reaped(process: Any, *_: object, **__: object) -> None:
        if process.returncode is not None:
            book.closed(process)

    def dying(process: Any, *_: object, **__: object) -> None:
        if getattr(process, "_child_created", False) and process.returncode is None:
            book.closed(process, Ending.COLLECTED)

    tracker.patches.after(subprocess.Popen, "__init__", started)
    tracker.patches.after(subprocess.Popen, "_handle_exitstatus", reaped)
    tracker.patches.before(subprocess.Popen, "__del__", dying)


def follow_async_processes(tracker: Tracker) -> None:
    """Follow processes of asyncio until they have ended."""
    from asyncio import base_subprocess

    book = tracker.book

    def started(transport: Any, *_: object, **__: object) -> None:
        book.opened(transport, ASYNC_PROCESS)

    cls = base_subprocess.BaseSubprocessTransport
    tracker.patches.after(cls, "__init__", started)
    tracker.closing(cls, "_process_exited")
