"""Files, opened, read and written without blocking the event loop.

What `aiofiles` offers has the same names here, so that a program moves by its import:
``from withal import files as aiofiles``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from withal._core.facade import deferred
from withal.files.objects.binary import BinaryFile
from withal.files.objects.opening import Opening, open  # noqa: A004 - it stands for the builtin
from withal.files.objects.statistics import Statistics
from withal.files.objects.text import TextFile
from withal.files.whole import (
    append_bytes,
    append_text,
    read_bytes,
    read_text,
    write_bytes,
    write_text,
)

if TYPE_CHECKING:
    from withal.files import os, tempfile
    from withal.files.locking import FileLock, Lock, lock
    from withal.files.many import read_many
    from withal.files.objects.standard import (
        stderr,
        stderr_bytes,
        stdin,
        stdin_bytes,
        stdout,
        stdout_bytes,
    )
    from withal.files.objects.wrapping import WrappedFile, wrap
    from withal.files.path import Path
    from withal.files.publishing.atomic import atomic_write
    from withal.files.publishing.part import PartFile, part_file
    from withal.files.publishing.sweeping import sweep

__all__ = [
    "BinaryFile",
    "FileLock",
    "Lock",
    "Opening",
    "PartFile",
    "Path",
    "Statistics",
    "TextFile",
    "WrappedFile",
    "append_bytes",
    "append_text",
    "atomic_write",
    "lock",
    "open",
    "os",
    "part_file",
    "read_bytes",
    "read_many",
    "read_text",
    "stderr",
    "stderr_bytes",
    "stdin",
    "stdin_bytes",
    "stdout",
    "stdout_bytes",
    "sweep",
    "tempfile",
    "wrap",
    "write_bytes",
    "write_text",
]

_HOMES = {
    "FileLock": "withal.files.locking",
    "Lock": "withal.files.locking",
    "PartFile": "withal.files.publishing.part",
    "Path": "withal.files.path",
    "WrappedFile": "withal.files.objects.wrapping",
    "atomic_write": "withal.files.publishing.atomic",
    "lock": "withal.files.locking",
    "os": "withal.files.os",
    "part_file": "withal.files.publishing.part",
    "read_many": "withal.files.many",
    "stderr": "withal.files.objects.standard",
    "stderr_bytes": "withal.files.objects.standard",
    "stdin": "withal.files.objects.standard",
    "stdin_bytes": "withal.files.objects.standard",
    "stdout": "withal.files.objects.standard",
    "stdout_bytes": "withal.files.objects.standard",
    "sweep": "withal.files.publishing.sweeping",
    "tempfile": "withal.files.tempfile",
    "wrap": "withal.files.objects.wrapping",
}

if not TYPE_CHECKING:  # or type checkers would take any name to be there
    __getattr__, __dir__ = deferred(__name__, _HOMES)
