"""What the standard library of this interpreter has is offered, or is left out for a reason."""

from __future__ import annotations

import io
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterable

import pytest

from withal import files
from withal.files import BinaryFile, Path, TextFile
from withal.files import os as files_os
from withal.files import tempfile as files_tempfile
from withal.files.directories import ospath
from withal.files.streams.standard import StandardStream
from withal.files.streams.wrap import WrappedFile
from withal.files.temporary.named import NamedFile
from withal.files.temporary.spooled import SpooledFile

# For each reason, the names that are left out for it.
Reasons = dict[str, str]

OS: Reasons = {
    "does not use the disk: a process, its threads, or waiting for others": """
        WCOREDUMP WEXITSTATUS WIFCONTINUED WIFEXITED WIFSIGNALED WIFSTOPPED WSTOPSIG WTERMSIG abort
        execl execle execlp execlpe execv execve execvp execvpe fork forkpty getpgid getpgrp getpid
        getppid getpriority getsid kill killpg nice pidfd_open plock popen posix_spawn posix_spawnp
        register_at_fork sched_get_priority_max sched_get_priority_min sched_getaffinity
        sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setparam
        sched_setscheduler sched_yield setns setpgid setpgrp setpriority setsid spawnl spawnle
        spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe system times umask unshare wait wait3 wait4
        waitid waitpid waitstatus_to_exitcode""",
    "does not use the disk: users and groups": """
        getegid geteuid getgid getgrouplist getgroups getlogin getresgid getresuid getuid initgroups
        setegid seteuid setgid setgroups setregid setresgid setresuid setreuid setuid""",
    "does not use the disk: the environment, the system, and numbers": """
        confstr cpu_count ctermid device_encoding fsdecode fsencode fspath get_exec_path
        get_terminal_size getenv getenvb getloadavg getrandom major makedev minor process_cpu_count
        putenv reload_environ strerror sysconf uname unsetenv urandom""",
    "a type": """
        DirEntry GenericAlias Mapping MutableMapping PathLike error sched_param stat_result
        statvfs_result statx_result terminal_size times_result uname_result waitid_result""",
    "a descriptor's: `withal.files.open` opens, reads, writes, moves and closes": """
        close closerange copy_file_range dup dup2 fdopen lseek open pread preadv pwrite pwritev read
        readinto readv splice write writev get_blocking get_inheritable isatty set_blocking
        set_inheritable lockf posix_fadvise posix_fallocate""",
    "a twin for descriptors of a function that takes a descriptor as its path": """
        fchdir fchmod fchown fstatvfs ftruncate fpathconf""",
    "does not use the disk: pipes, terminals, timers and memory": """
        eventfd eventfd_read eventfd_write grantpt login_tty memfd_create openpty pipe pipe2
        posix_openpt ptsname tcgetpgrp tcsetpgrp timerfd_create timerfd_gettime timerfd_gettime_ns
        timerfd_settime timerfd_settime_ns ttyname unlockpt""",
    "walks by descriptors, which a cancelled walk could not close in time; `walk` does without": """
        fwalk""",
    "for the administrator of a machine": "chroot mknod pathconf sync",
}

OS_PATH: Reasons = {
    "does not use the disk": """
        basename commonpath commonprefix dirname expandvars isabs isreserved join normcase normpath
        samestat split splitdrive splitext splitroot""",
}

SHUTIL: Reasons = {
    "a type": "Error ExecError SameFileError SpecialFileError",
    "does not use the disk": """
        get_archive_formats get_terminal_size get_unpack_formats ignore_patterns
        register_archive_format register_unpack_format unregister_archive_format
        unregister_unpack_format""",
}

TEMPFILE: Reasons = {
    "a constant, or a setting of the standard library": "TMP_MAX tempdir template",
    "unsafe, and deprecated since Python 2.3": "mktemp",
}

PATH: Reasons = {"deprecated since Python 3.10, and gone in 3.12": "link_to"}

FILE_IO: Reasons = {
    "whether the descriptor is closed is for the caller of open() to know": "closefd"
}

SPOOLED: Reasons = {}


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def functions(module: object) -> set[str]:
    return {name for name in public(module) if callable(getattr(module, name))}


def without(names: Iterable[str], reasons: Reasons) -> set[str]:
    return set(names).difference(*(each.split() for each in reasons.values()))


BUFFERED = public(io.BufferedReader) | public(io.BufferedWriter) | public(io.BufferedRandom)

# What the objects have, and not their classes.
TEXT_ATTRIBUTES = {"buffer", "encoding", "errors", "line_buffering", "mode", "write_through"}
BINARY_ATTRIBUTES = {"mode", "name"}

LISTS = {
    "os": (functions(os), set(files_os.__all__), OS),
    "os.path": (functions(os.path), set(ospath.__all__), OS_PATH),
    "shutil": (set(shutil.__all__), set(files_os.__all__), SHUTIL),
    "tempfile": (set(tempfile.__all__), set(files_tempfile.__all__), TEMPFILE),
    "Path": (public(pathlib.Path), public(Path), PATH),
    "TextIOWrapper": (public(io.TextIOWrapper), public(TextFile) | TEXT_ATTRIBUTES, {}),
    "buffered": (BUFFERED, public(BinaryFile) | BINARY_ATTRIBUTES, {}),
    "FileIO": (public(io.FileIO), public(BinaryFile) | BINARY_ATTRIBUTES, FILE_IO),
    "SpooledTemporaryFile": (public(tempfile.SpooledTemporaryFile), public(SpooledFile), SPOOLED),
    "NamedTemporaryFile": (public(io.TextIOWrapper) | BUFFERED, public(NamedFile), {}),
    "wrap": (public(io.TextIOWrapper) | BUFFERED, public(WrappedFile), {}),
    "sys.stdin": (public(io.TextIOWrapper) | BUFFERED, public(StandardStream), {}),
    "TemporaryDirectory": (
        public(tempfile.TemporaryDirectory),
        public(files_tempfile.TemporaryDirectory),
        {},
    ),
    "ours": (public(TextFile) & public(BinaryFile), public(NamedFile), {}),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the tables are of what Linux has")
@pytest.mark.parametrize("name", LISTS)
def test_every_name_is_offered_or_left_out_for_a_reason(name: str) -> None:
    theirs, ours, reasons = LISTS[name]
    missing = without(theirs, reasons) - ours
    assert not missing, f"offer these names, or say in this module why not: {sorted(missing)}"


@pytest.mark.parametrize("name", [name for name in LISTS if name != "shutil"])
def test_no_name_is_both_offered_and_left_out(name: str) -> None:
    _, ours, reasons = LISTS[name]
    assert ours == without(ours, reasons)


async def test_the_objects_have_the_attributes_that_are_counted_on() -> None:
    async with files.open(__file__) as text:
        assert public(text) >= TEXT_ATTRIBUTES
    async with files.open(__file__, "rb") as binary:
        assert public(binary) >= BINARY_ATTRIBUTES
