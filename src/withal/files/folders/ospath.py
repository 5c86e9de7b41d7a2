"""What `os.path` asks the disk, without blocking the event loop: `withal.files.os.path`.

The names and signatures are those of `os.path`, and so are results and errors. The contract of
`withal.files.os` holds here too: each call is one hop to a thread, and a cancellation ends the wait
at once.
"""

from __future__ import annotations

from os import path

from withal.files.calls.threaded import threaded

__all__ = [
    "abspath",
    "exists",
    "getatime",
    "getctime",
    "getmtime",
    "getsize",
    "isdir",
    "isfile",
    "islink",
    "ismount",
    "lexists",
    "samefile",
    "sameopenfile",
]

exists = threaded(path.exists)
"""Whether there is something under the path; a dangling link counts as nothing."""

lexists = threaded(path.lexists)
"""Whether there is something under the path; a dangling link counts."""

isfile = threaded(path.isfile)
"""Whether the path leads to a regular file."""

isdir = threaded(path.isdir)
"""Whether the path leads to a folder."""

islink = threaded(path.islink)
"""Whether the path is a symbolic link, dangling or not."""

ismount = threaded(path.ismount)
"""Whether the path is where a file system is mounted."""

getsize = threaded(path.getsize)
"""The size of the file, in bytes."""

getatime = threaded(path.getatime)
"""When the file was last read, in seconds since the epoch."""

getmtime = threaded(path.getmtime)
"""When the file was last written, in seconds since the epoch."""

getctime = threaded(path.getctime)
"""When the file's metadata last changed (on Windows: when it was made), in seconds."""

samefile = threaded(path.samefile)
"""Whether two paths lead to the same file."""

sameopenfile = threaded(path.sameopenfile)
"""Whether two descriptors are open on the same file."""

abspath = threaded(path.abspath)
"""The path made absolute and normal, links not followed; asks for the current folder."""
