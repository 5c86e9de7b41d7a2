"""The marks of a part file: a name with a checksum, and a lock that is held while its writer lives.

The lock is ``flock(2)`` on the part file itself. The lock belongs to the open file description: the
kernel releases it when the process dies, and a duplicate of the descriptor keeps it
(https://man7.org/linux/man-pages/man2/flock.2.html).
"""

from __future__ import annotations

import os
import random
import re
import sys
from contextlib import suppress
from zlib import crc32

if sys.platform != "win32":
    import fcntl

HAS_FLOCK = sys.platform != "win32"

NAME_BYTES = 255
"""How long a file's name may be, in bytes, on the file systems of Linux and macOS."""

_NAME = re.compile(r"(\..*\.[0-9a-f]{8})([0-9a-f]{8})\.part", re.DOTALL)

_random = random.Random()


def part_name(name: str, mark: str) -> str:
    """Return the name of a part file: hidden, recognizable, and not too long for a file name.

    Example:
        >>> part_name("video.mp4", "1f2e")
        '.video.mp4.1f2e.part'
    """
    tail = f".{mark}.part"
    room = NAME_BYTES - len(tail) - 1
    # A part of a character would be refused by file systems that require UTF-8.
    return f".{os.fsencode(name)[:room].decode(errors='ignore')}{tail}"


def new_part_name(name: str) -> str:
    """Return a name with 8 random digits and a checksum of the part before it.

    The random digits do not come from `secrets`, whose system call took 40 us in the event loop's
    thread while other threads waited for the interpreter lock. A forked process has the same
    generator, but another process id.
    """
    drawn = f"{_random.getrandbits(32) ^ (os.getpid() & 0xFFFFFFFF):08x}"
    head = part_name(name, drawn + "0" * 8)[: -len("00000000.part")]
    return f"{head}{_checksum(head)}.part"


def is_part_name(name: str) -> bool:
    """Return whether `new_part_name` has made this name.

    Example:
        >>> is_part_name(new_part_name("video.mp4")), is_part_name(".x.0123456789abcdef.part")
        (True, False)
    """
    found = _NAME.fullmatch(name)
    return found is not None and _checksum(found[1]) == found[2]


def _checksum(head: str) -> str:
    return f"{crc32(os.fsencode(head)):08x}"


def lock_made(descriptor: int) -> bool:
    """Lock a part file that was just created. Returns whether the file still exists.

    A sweep may remove it in the microseconds before it is locked.
    """
    if sys.platform != "win32":
        with suppress(OSError):  # a file system without locks; nothing is swept there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return os.fstat(descriptor).st_nlink > 0
    return True


def try_lock(descriptor: int) -> bool:
    """Take the lock of a part file if no process holds it."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Release the lock, even if a forked process has the file open; and close."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
