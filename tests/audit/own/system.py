"""The calls of `os`, `os.path`, `shutil`, `tempfile` and `pathlib` that use the disk, audited.

Cancelled, a call is done all the same, and what may take long stops soon. So each line says what
has come of it when all threads are done: for a question nothing, and it is asked again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from tests.audit.own.case import Case, case
from tests.audit.own.grounds import CONTENT, in_tmpfs
from withal import files
from withal.files.threads.pool import wait_idle

Call: TypeAlias = Callable[[Path], Awaitable[object]]
Check: TypeAlias = Callable[[Path], object]

system: Any = files.os  # of any: what is called is what `os` has, on paths of any sort


@asynccontextmanager
async def tree() -> AsyncGenerator[Path]:
    """Make a file, a link to it, an empty folder, and a folder with two files."""
    with in_tmpfs() as root:
        (root / "file").write_bytes(CONTENT)
        (root / "link").symlink_to("file")
        (root / "empty").mkdir()
        (root / "full").mkdir()
        for name in "one", "two":
            (root / "full" / name).write_bytes(CONTENT)
        yield root


async def comes_through(call: Call, root: Path) -> None:
    """Ask again."""
    await wait_idle()
    await call(root)


async def is_done(check: Check, root: Path) -> None:
    """Check what has come of it."""
    await wait_idle()
    assert check(root), sorted(os.listdir(root))


# Questions

QUESTIONS: dict[str, Call] = {
    "access": lambda root: system.access(root / "file", os.R_OK),
    "disk_usage": lambda root: system.disk_usage(root),
    "getcwd": lambda _: system.getcwd(),
    "getcwdb": lambda _: system.getcwdb(),
    "fstat": lambda _: system.fstat(0),
    "listdir": lambda root: system.listdir(root),
    "listxattr": lambda root: system.listxattr(root / "file"),
    "lstat": lambda root: system.lstat(root / "link"),
    "readlink": lambda root: system.readlink(root / "link"),
    "stat": lambda root: system.stat(root / "file"),
    "statvfs": lambda root: system.statvfs(root),
    "path.abspath": lambda root: system.path.abspath(root),
    "path.expanduser": lambda _: system.path.expanduser("~/file"),
    "path.exists": lambda root: system.path.exists(root),
    "path.getatime": lambda root: system.path.getatime(root),
    "path.getctime": lambda root: system.path.getctime(root),
    "path.getmtime": lambda root: system.path.getmtime(root),
    "path.getsize": lambda root: system.path.getsize(root / "file"),
    "path.isdir": lambda root: system.path.isdir(root),
    "path.isfile": lambda root: system.path.isfile(root / "file"),
    "path.isjunction": lambda root: system.path.isjunction(root),
    "path.islink": lambda root: system.path.islink(root / "link"),
    "path.ismount": lambda root: system.path.ismount(root),
    "path.lexists": lambda root: system.path.lexists(root / "link"),
    "path.realpath": lambda root: system.path.realpath(root / "link"),
    "path.relpath": lambda root: system.path.relpath(root),
    "path.samefile": lambda root: system.path.samefile(root / "link", root / "file"),
    "path.sameopenfile": lambda _: system.path.sameopenfile(0, 0),
    "which": lambda _: system.which("sh"),
}

if hasattr(os.path, "isdevdrive"):
    QUESTIONS["path.isdevdrive"] = lambda root: system.path.isdevdrive(root)
if hasattr(os, "statx"):
    QUESTIONS["statx"] = lambda root: system.statx(root / "file", vars(os)["STATX_MTIME"])

PATH_QUESTIONS: dict[str, Callable[[files.Path], Awaitable[object]]] = {
    "absolute": lambda root: root.absolute(),
    "cwd": lambda root: root.cwd(),
    "exists": lambda root: root.exists(),
    "expanduser": lambda _: files.Path("~/file").expanduser(),
    "group": lambda root: root.group(),
    "home": lambda root: root.home(),
    "is_block_device": lambda root: root.is_block_device(),
    "is_char_device": lambda root: root.is_char_device(),
    "is_dir": lambda root: root.is_dir(),
    "is_fifo": lambda root: root.is_fifo(),
    "is_file": lambda root: root.is_file(),
    "is_junction": lambda root: root.is_junction(),
    "is_mount": lambda root: root.is_mount(),
    "is_socket": lambda root: root.is_socket(),
    "is_symlink": lambda root: (root / "link").is_symlink(),
    "lstat": lambda root: (root / "link").lstat(),
    "owner": lambda root: root.owner(),
    "read_bytes": lambda root: (root / "file").read_bytes(),
    "read_text": lambda root: (root / "file").read_text(),
    "readlink": lambda root: (root / "link").readlink(),
    "resolve": lambda root: (root / "link").resolve(),
    "samefile": lambda root: (root / "link").samefile(root / "file"),
    "stat": lambda root: root.stat(),
}


async def walk(walking: Any) -> None:
    async with aclosing(walking) as found:
        async for _ in found:
            pass


async def scan(root: Path) -> None:
    async with system.scandir(root) as entries:
        assert len([entry.name async for entry in entries]) == 4


async def scan_awaited(root: Path) -> None:
    with await system.scandir(root) as entries:
        assert len(list(entries)) == 4


async def scan_to_the_first(root: Path) -> None:
    entries = system.scandir(root)
    try:
        assert await anext(entries)
    finally:
        await entries.aclose()


async def send(root: Path) -> None:
    with open(root / "file", "rb") as source, open(root / "copy", "wb") as target:
        await system.sendfile(target.fileno(), source.fileno(), 0, len(CONTENT))


async def copy_objects(root: Path) -> None:
    with open(root / "file", "rb") as source, open(root / "copy", "wb") as target:
        await system.copyfileobj(source, target)


async def synchronize(root: Path) -> None:
    with open(root / "file", "rb+") as file:
        await system.fsync(file.fileno())
        await system.fdatasync(file.fileno())


async def unpack(root: Path) -> None:
    name = shutil.make_archive(str(root / "archive"), "tar", root / "full")
    await system.unpack_archive(name, root / "unpacked", filter="data")


async def change_folder(_: Path) -> None:
    await system.chdir(os.getcwd())


SCAN = "files.os.Scandir"
SEARCHES: tuple[tuple[Any, ...], ...] = (  # of any: a name, a call, and what it covers
    ("os.walk", lambda root: walk(system.walk(root)), "files.os.walk"),
    ("os.scandir", scan, "files.os.scandir", f"{SCAN}.__aenter__", f"{SCAN}.__aiter__"),
    ("os.scandir awaited", scan_awaited, f"{SCAN}.__await__"),
    ("os.scandir, the first", scan_to_the_first, f"{SCAN}.__anext__", f"{SCAN}.aclose"),
    ("os.sendfile", send, "files.os.sendfile"),
    ("os.chdir", change_folder, "files.os.chdir"),
    ("os.copyfileobj", copy_objects, "files.os.copyfileobj"),
    ("os.fsync", synchronize, "files.os.fsync", "files.os.fdatasync"),
    ("os.unpack_archive", unpack, "files.os.unpack_archive"),
    ("Path.walk", lambda root: walk(files.Path(root).walk()), "files.Path.walk"),
    ("Path.glob", lambda root: walk(files.Path(root).glob("*")), "files.Path.glob"),
    ("Path.rglob", lambda root: walk(files.Path(root).rglob("*")), "files.Path.rglob"),
    ("Path.iterdir", lambda root: walk(files.Path(root).iterdir()), "files.Path.iterdir"),
)


# Changes


def has(*names: str) -> Check:
    return lambda root: all((root / name).exists() for name in names)


def lacks(*names: str) -> Check:
    return lambda root: not any(os.path.lexists(root / name) for name in names)


def moved(old: str, new: str) -> Check:
    return lambda root: lacks(old)(root) and has(new)(root)


def holds(name: str, content: bytes) -> Check:
    return lambda root: (root / name).read_bytes() == content


def is_mode(mode: int) -> Check:
    return lambda root: (root / "file").stat().st_mode & 0o777 == mode


def is_kept_in(*names: str) -> Check:
    """What takes long stops on the way; what it was made of is whole in one place at least."""
    return lambda root: any(
        all(
            (root / name / each).exists() and (root / name / each).read_bytes() == CONTENT
            for each in ("one", "two")
        )
        for name in names
    )


def anything(root: Path) -> bool:
    """Be the check of what may stop anywhere: that nothing is left open is found without it."""
    return True


CHANGES: dict[str, tuple[Call, Check]] = {
    "chmod": (lambda root: system.chmod(root / "file", 0o600), is_mode(0o600)),
    "chown": (lambda root: system.chown(root / "file", -1, -1), has("file")),
    "copy": (lambda root: system.copy(root / "file", root / "new"), anything),
    "copy2": (lambda root: system.copy2(root / "file", root / "new"), anything),
    "copyfile": (lambda root: system.copyfile(root / "file", root / "new"), anything),
    "copymode": (lambda root: system.copymode(root / "file", root / "full/one"), has("full/one")),
    "copystat": (lambda root: system.copystat(root / "file", root / "full/one"), has("full/one")),
    "copytree": (lambda root: system.copytree(root / "full", root / "new"), is_kept_in("full")),
    "lchown": (lambda root: system.lchown(root / "link", -1, -1), has("link")),
    "link": (lambda root: system.link(root / "file", root / "new"), holds("new", CONTENT)),
    "makedirs": (lambda root: system.makedirs(root / "a" / "b"), has("a/b")),
    "make_archive": (
        lambda root: system.make_archive(str(root / "new"), "tar", root / "full"),
        is_kept_in("full"),
    ),
    "mkdir": (lambda root: system.mkdir(root / "new"), has("new")),
    "mkfifo": (lambda root: system.mkfifo(root / "new"), has("new")),
    "move": (lambda root: system.move(root / "full", root / "new"), is_kept_in("full", "new")),
    "remove": (lambda root: system.remove(root / "link"), lacks("link")),
    "removedirs": (lambda root: system.removedirs(root / "empty"), lacks("empty")),
    "rename": (lambda root: system.rename(root / "file", root / "new"), moved("file", "new")),
    "renames": (lambda root: system.renames(root / "file", root / "a/b"), moved("file", "a/b")),
    "replace": (lambda root: system.replace(root / "file", root / "new"), moved("file", "new")),
    "rmdir": (lambda root: system.rmdir(root / "empty"), lacks("empty")),
    "rmtree": (lambda root: system.rmtree(root / "full"), has("file", "empty")),
    "symlink": (lambda root: system.symlink("file", root / "new"), holds("new", CONTENT)),
    "truncate": (lambda root: system.truncate(root / "file", 4), holds("file", CONTENT[:4])),
    "unlink": (lambda root: system.unlink(root / "link"), lacks("link")),
    "utime": (
        lambda root: system.utime(root / "file", (1, 1)),
        lambda root: (root / "file").stat().st_mtime == 1,
    ),
}

PATH_CHANGES: dict[str, tuple[Callable[[files.Path], Awaitable[object]], Check]] = {
    "chmod": (lambda root: (root / "file").chmod(0o600), is_mode(0o600)),
    "copy": (lambda root: (root / "full").copy(root / "new"), is_kept_in("full")),
    "copy_into": (lambda root: (root / "full").copy_into(root / "empty"), is_kept_in("full")),
    "hardlink_to": (lambda root: (root / "new").hardlink_to(root / "file"), has("new")),
    "mkdir": (lambda root: (root / "a" / "b").mkdir(parents=True), has("a/b")),
    "move": (lambda root: (root / "full").move(root / "new"), is_kept_in("full", "new")),
    "move_into": (
        lambda root: (root / "full").move_into(root / "empty"),
        is_kept_in("full", "empty/full"),
    ),
    "rename": (lambda root: (root / "file").rename(root / "new"), moved("file", "new")),
    "replace": (lambda root: (root / "file").replace(root / "new"), moved("file", "new")),
    "rmdir": (lambda root: (root / "empty").rmdir(), lacks("empty")),
    "symlink_to": (lambda root: (root / "new").symlink_to("file"), has("new")),
    "touch": (lambda root: (root / "new").touch(), has("new")),
    "unlink": (lambda root: (root / "link").unlink(), lacks("link")),
    "write_bytes": (lambda root: (root / "new").write_bytes(b"new"), holds("new", b"new")),
    "write_text": (lambda root: (root / "new").write_text("new"), holds("new", b"new")),
}


# Temporary files

temporary: Any = files.tempfile  # of any: files of all kinds


async def use_file(kind: str, mode: str, root: Path) -> None:
    """Write, and read it again."""
    text: Any = "a line\n" if mode == "w+" else b"a line\n"
    async with getattr(temporary, kind)(mode=mode, dir=root / "empty") as file:
        await file.write(text)
        await file.seek(0)
        assert await file.readline() == text


async def use_spooled(size: int, root: Path) -> None:
    """Write more than it keeps in memory: what it keeps there waits for nothing."""
    async with temporary.SpooledTemporaryFile(max_size=size, dir=root / "empty") as file:
        await file.write(b"a line\n")
        await file.seek(0)
        assert await file.readline() == b"a line\n"


async def use_folder(root: Path) -> None:
    async with temporary.TemporaryDirectory(dir=root / "empty") as name:
        await files.write_bytes(f"{name}/file", b"content")


async def use_folder_awaited(root: Path) -> None:
    folder = await temporary.TemporaryDirectory(dir=root / "empty")
    await folder.cleanup()


async def use_folder_closed(root: Path) -> None:
    folder = await temporary.TemporaryDirectory(dir=root / "empty")
    await folder.close()


async def use_mkstemp(root: Path) -> None:
    fd, name = await temporary.mkstemp(dir=root / "empty")
    os.close(fd)
    os.unlink(name)


async def use_mkdtemp(root: Path) -> None:
    os.rmdir(await temporary.mkdtemp(dir=root / "empty"))


async def ask_for_the_folder(root: Path) -> None:
    await temporary.gettempdir()
    await temporary.gettempdirb()


async def is_empty(call: Call, root: Path) -> None:
    """Check that nothing is left behind, and that another one can be had."""
    await wait_idle()
    assert os.listdir(root / "empty") == []
    await call(root)
    assert os.listdir(root / "empty") == []


TEMPORARY: tuple[tuple[str, Call, str], ...] = (
    ("TemporaryFile w+b", partial(use_file, "TemporaryFile", "w+b"), "TemporaryFile"),
    ("TemporaryFile w+", partial(use_file, "TemporaryFile", "w+"), "TemporaryFile"),
    ("NamedTemporaryFile", partial(use_file, "NamedTemporaryFile", "w+"), "NamedTemporaryFile"),
    ("SpooledTemporaryFile", partial(use_spooled, 2), "SpooledTemporaryFile"),
    ("TemporaryDirectory", use_folder, "TemporaryDirectory.__aenter__"),
    ("TemporaryDirectory.cleanup", use_folder_awaited, "TemporaryDirectory.cleanup"),
    ("TemporaryDirectory.close", use_folder_closed, "TemporaryDirectory.close"),
    ("TemporaryDirectory awaited", use_folder_awaited, "TemporaryDirectory.__await__"),
    ("mkstemp", use_mkstemp, "mkstemp"),
    ("mkdtemp", use_mkdtemp, "mkdtemp"),
    ("gettempdir", ask_for_the_folder, "gettempdir"),
    ("gettempdirb", ask_for_the_folder, "gettempdirb"),
)


async def of_path(call: Callable[[files.Path], Awaitable[object]], root: Path) -> None:
    await call(files.Path(root))


def _cases() -> Iterator[Case]:
    for name, call in QUESTIONS.items():
        yield _asked(f"os.{name}", call, f"files.os.{name}")
    for name, ask in PATH_QUESTIONS.items():
        yield _asked(f"Path.{name}", partial(of_path, ask), f"files.Path.{name}")
    for name, search, *covered in SEARCHES:
        yield _asked(name, search, *covered)
    for name, (change, check) in CHANGES.items():
        done = partial(is_done, check)
        yield case(f"os.{name}", change, f"files.os.{name}", setup=tree, probe=done)
    for name, (alter, check) in PATH_CHANGES.items():
        change, done = partial(of_path, alter), partial(is_done, check)
        yield case(f"Path.{name}", change, f"files.Path.{name}", setup=tree, probe=done)
    for name, use, what in TEMPORARY:
        covers, empty = f"files.tempfile.{what}", partial(is_empty, use)
        yield case(f"tempfile, {name}", use, covers, setup=tree, probe=empty)


def _asked(name: str, call: Call, *covers: str) -> Case:
    return case(name, call, *covers, setup=tree, probe=partial(comes_through, call))


CASES = list(_cases())
