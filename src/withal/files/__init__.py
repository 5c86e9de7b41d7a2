"""Files, opened, read and written without blocking the event loop.

What `aiofiles` offers has the same names here, so that a program moves by its import:
``from withal import files as aiofiles``.
"""

from __future__ import annotations

from withal.files import os, tempfile
from withal.files.locking import FileLock, Lock, lock
from withal.files.many import read_many
from withal.files.objects.binary import BinaryFile
from withal.files.objects.opening import Opening, open  # noqa: A004 - it stands for the builtin
from withal.files.objects.standard import (
    stderr,
    stderr_bytes,
    stdin,
    stdin_bytes,
    stdout,
    stdout_bytes,
)
from withal.files.objects.statistics import Statistics
from withal.files.objects.text import TextFile
from withal.files.objects.wrapping import WrappedFile, wrap
from withal.files.path import Path
from withal.files.publishing.atomic import atomic_write
from withal.files.publishing.part import PartFile, part_file
from withal.files.publishing.sweeping import sweep
from withal.files.whole import (
    append_bytes,
    append_text,
    read_bytes,
    read_text,
    write_bytes,
    write_text,
)

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
