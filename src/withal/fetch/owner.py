"""Who writes a part file, and whether that process may still be alive.

A lock would be simpler, and is not to be relied on: ``flock`` does nothing on Lustre and on some
mounts of NFS. So a part file is continued only if its owner is surely dead: it ran on this host,
since this boot, among the processes that can be seen from here, and is not there any more.
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
    """Identifies one process among all machines.

    Attributes:
        host: the name of its machine.
        boot: which start of that machine it runs in.
        space: which processes it can see, and is seen by.
        pid: its number.
        started: when it started, in ticks since the boot.
    """

    host: str
    boot: str
    space: str
    pid: int
    started: str

    def is_dead(self) -> bool:
        """Return whether it has surely ended. This process has not."""
        here = myself()
        if (self.host, self.space) != (here.host, here.space) or not self.boot:
            return False
        if self.boot != here.boot:
            return False  # dead, but its last writes may not have reached the disk
        return _started(self.pid) != self.started


def myself() -> Owner:
    """Return this process. Blocks for a moment the first time."""
    return _owner(os.getpid())  # which differs after a fork


@lru_cache(1)
def _owner(pid: int) -> Owner:
    boot = space = ""
    with suppress(OSError):  # not Linux, or no /proc: then nothing is ever surely dead
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    return Owner(socket.gethostname(), boot, space, pid, _started(pid))


def _started(pid: int) -> str:
    """Return when a process started, or an empty string if it does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name, in brackets, may have anything in it. The start is the 22nd field.
    state, *rest = text.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]
