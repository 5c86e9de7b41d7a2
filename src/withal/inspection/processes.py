"""The child processes of this process, from ``/proc/self/task/*/children``.

If the kernel does not provide this file, no child is found:
https://man7.org/linux/man-pages/man5/proc_tid_children.5.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

_THREADS = "/proc/self/task"


@final
@dataclass(frozen=True, slots=True)
class Process:
    """A child process.

    Attributes:
        pid: its process identifier.
        command: its command line; empty if it has ended.
        has_ended: whether it has ended and waits to be reaped (a zombie).
    """

    pid: int
    command: str = field(default="", compare=False)
    has_ended: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        what = "has ended, and was not waited for" if self.has_ended else self.command
        return f"{self.pid}: {what}"


def child_processes() -> Iterator[int]:
    """Yield the process identifiers of the children of this process."""
    with suppress(OSError):
        for thread in os.listdir(_THREADS):
            with suppress(OSError):
                yield from map(int, Path(f"{_THREADS}/{thread}/children").read_text().split())


def describe_process(pid: int) -> Process:
    """Return a child process with its command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        command = ""
    return Process(pid, command.strip(), has_ended=not command.strip())
