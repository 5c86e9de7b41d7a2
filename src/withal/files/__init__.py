"""Files, opened, read and written without blocking the event loop.

The functions of `aiofiles` have the same names here, so that a program only changes its import:
``from withal import files as aiofiles``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from withal._core.facade import deferred
from withal.files.streams.binary import BinaryFile
from withal.files.streams.open_file import Opening, open  # noqa: A004 - it stands for the builtin
from withal.files.streams.statistics import Statistics
from withal.files.streams.text import TextFile
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
    from withal.files.locks.file_lock import FileLock, Lock, lock
    from withal.files.many import read_many
    from withal.files.path import Path
    from withal.files.replace.atomic_write import atomic_write
    from withal.files.replace.part_file import PartFile, part_file
    from withal.files.replace.sweep import sweep
    from withal.files.streams.standard import (
        stderr,
        stderr_bytes,
        stdin,
        stdin_bytes,
        stdout,
        stdout_bytes,
    )
    from withal.files.streams.wrap import WrappedFile, wrap

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
    "FileLock": "withal.files.locks.file_lock",
    "Lock": "withal.files.locks.file_lock",
    "PartFile": "withal.files.replace.part_file",
    "Path": "withal.files.path",
    "WrappedFile": "withal.files.streams.wrap",
    "atomic_write": "withal.files.replace.atomic_write",
    "lock": "withal.files.locks.file_lock",
    "os": "withal.files.os",
    "part_file": "withal.files.replace.part_file",
    "read_many": "withal.files.many",
    "stderr": "withal.files.streams.standard",
    "stderr_bytes": "withal.files.streams.standard",
    "stdin": "withal.files.streams.standard",
    "stdin_bytes": "withal.files.streams.standard",
    "stdout": "withal.files.streams.standard",
    "stdout_bytes": "withal.files.streams.standard",
    "sweep": "withal.files.replace.sweep",
    "tempfile": "withal.files.tempfile",
    "wrap": "withal.files.streams.wrap",
}

if not TYPE_CHECKING:  # or type checkers would take any name to be there
    __getattr__, __dir__ = deferred(__name__, _HOMES)
