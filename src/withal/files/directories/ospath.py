"""The functions of `os.path` that query the disk, as coroutines: `withal.files.os.path`.

The names and signatures are those of `os.path`, and so are results and errors. The contract of
`withal.files.os` applies here, too: each function is one call in a thread, and a cancellation ends
the wait immediately.
"""

from __future__ import annotations

import os
import stat
import sys
from os import path
from typing import TYPE_CHECKING

from withal.files.threads.functions import threaded

if TYPE_CHECKING:
    from withal.files.directories.signatures import (
        Junction,
        OfFilename,
        OfFilenameAlike,
        OfPath,
        OfPathAlike,
        OfS,
        OfTwoDescriptors,
        OfTwoFiles,
        SeenFrom,
    )

__all__ = [
    "abspath",
    "exists",
    "expanduser",
    "getatime",
    "getctime",
    "getmtime",
    "getsize",
    "isdir",
    "isfile",
    "isjunction",
    "islink",
    "ismount",
    "lexists",
    "realpath",
    "relpath",
    "samefile",
    "sameopenfile",
]

exists: OfPath[bool] = threaded(path.exists)
"""Whether there is something under the path; a dangling link counts as nothing."""

lexists: OfPath[bool] = threaded(path.lexists)
"""Whether there is something under the path; a dangling link counts."""

isfile: OfPath[bool] = threaded(path.isfile)
"""Whether the path leads to a regular file."""

isdir: OfS[bool] = threaded(path.isdir)
"""Whether the path leads to a folder."""

islink: OfPath[bool] = threaded(path.islink)
"""Whether the path is a symbolic link, dangling or not."""

ismount: OfPath[bool] = threaded(path.ismount)
"""Whether the path is where a file system is mounted."""

getsize: OfFilename[int] = threaded(path.getsize)
"""The size of the file, in bytes."""

getatime: OfFilename[float] = threaded(path.getatime)
"""When the file was last read, in seconds since the epoch."""

getmtime: OfFilename[float] = threaded(path.getmtime)
"""When the file was last written, in seconds since the epoch."""

getctime: OfFilename[float] = threaded(path.getctime)
"""When the file's metadata last changed (on Windows: when it was made), in seconds."""

samefile: OfTwoFiles[bool] = threaded(path.samefile)
"""Whether two paths lead to the same file."""

sameopenfile: OfTwoDescriptors[bool] = threaded(path.sameopenfile)
"""Whether two descriptors are open on the same file."""

abspath: OfPathAlike = threaded(path.abspath)
"""Return the path made absolute and normal, without following links; reads the current folder."""

realpath: OfFilenameAlike = threaded(path.realpath)
"""The path made absolute, links followed; if `strict`, it must exist."""

relpath: SeenFrom = threaded(path.relpath)  # type: ignore[assignment]  # mypy has one overload
"""Return the path relative to another, by default to the current folder."""

expanduser: OfPathAlike = threaded(path.expanduser)
"""The path with a leading ``~`` or ``~user`` replaced by the home folder."""

if sys.version_info >= (3, 12):
    isjunction: Junction = threaded(path.isjunction)
else:

    def _isjunction(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> bool:
        """Test whether a path is a junction."""
        try:
            tag = getattr(os.lstat(path), "st_reparse_tag", None)  # only Windows has it
        except (OSError, ValueError):
            return False
        return tag is not None and tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)

    isjunction: Junction = threaded(_isjunction)
"""Whether the path is a junction, which only Windows has; here on Python 3.11, too."""

if sys.version_info >= (3, 13):
    __all__ += ["isdevdrive"]
    isdevdrive = threaded(path.isdevdrive)
    """Whether the path is on a Dev Drive, which only Windows has."""
