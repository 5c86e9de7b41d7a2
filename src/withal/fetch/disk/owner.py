"""The process that writes a part file, and whether it may still be alive.

A lock would be simpler but is not reliable: ``flock`` may be local to each client on a network file
system (https://man7.org/linux/man-pages/man2/flock.2.html), and does nothing on some. So a part
file is continued only if its owner is known to be dead: it ran on this host, since this boot, in
this process namespace, and does not exist any more.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Owner:
    """Identifies one process on any machine.

    Attributes:
        host: the name of its machine.
        boot: the identifier of the boot in which it runs.
        space: its process namespace: https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
        pid: its number.
        started: when it started, in clock ticks since the boot.
    """

    host: str
    boot: str
    space: str
    pid: int
    started: str

    def is_dead(self) -> bool:
        """Return whether it is known to have ended."""
        here = myself()
        if (self.host, self.space) != (here.host, here.space) or not self.boot:
            return False
        if self.boot != here.boot:
            return False  # dead, but its last writes may not have reached the disk
        return _started(self.pid) != self.started


def myself() -> Owner:
    """Return this process. The first call reads files of ``/proc``."""
    return _owner(os.getpid())  # the process id differs after a fork


@lru_cache(1)
def _owner(pid: int) -> Owner:
    boot = space = ""
    with suppress(OSError):  # not Linux, or no /proc: then no owner is known to be dead
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    return Owner(socket.gethostname(), boot, space, pid, _started(pid))


def _started(pid: int) -> str:
    """Return when a process started, or an empty string if it does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name, in parentheses, may contain any character. The start time is the 22nd field:
    # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    state, *rest = text.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]
