"""Residue: what a run may leave behind, looked at from outside: descriptors, tasks, threads, ...

What is there before a run is not its own. Of the rest each piece has a kind, and kinds are counted,
since the number of a descriptor or the name of a temporary file says nothing: a run leaves too much
behind if it leaves more of a kind than the runs that nobody cancelled.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import threading
from asyncio import AbstractEventLoop, Task
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast, final
from weakref import ReferenceType

from withal._core.descriptors import is_left_out, open_descriptors
from withal.audit.evidence import listing, name_of_task, place_of
from withal.audit.injection import stack_of
from withal.audit.likeness import likeness_of
from withal.audit.naming import name_of
from withal.audit.record import Category

_CHILDREN = "/proc/self/task/{}/children"

# Pools start threads as they are needed, and keep them for the next call. What such a thread does
# is another matter, and looked at where it is done. And where a thread waits for a process, the
# process is what is told.
_POOLED = re.compile(r"asyncio_|asyncio-waitpid|withal-files|AnyIO worker thread|audit-executor")


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that is there.

    Attributes:
        category: what sort of thing.
        kind: what it is counted as.
        evidence: what it is, in a line.
        detail: more of it, in several lines.
        known_as: what a warning calls it once it is collected.
    """

    category: Category
    kind: str
    evidence: str
    detail: str = ""
    known_as: tuple[str, ...] = ()


Counts = Counter[tuple[Category, str]]
"""How many pieces there are of each category and kind."""


@final
@dataclass(frozen=True, slots=True)
class Belongings:
    """What the process has at one moment, by what tells the pieces apart."""

    descriptors: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]
    processes: frozenset[int]

    @classmethod
    def now(cls) -> Belongings:
        """Return what there is at this moment."""
        return cls(
            open_descriptors(),
            frozenset(thread for thread in threading.enumerate() if not _is_pooled(thread)),
            frozenset(processes()),
        )


def residue(
    before: Belongings,
    allowed: Belongings,
    loop: AbstractEventLoop,
    own: Iterable[Task[Any] | None],
) -> Iterator[Piece]:
    """Yield what is there now, in the process and in the running loop, and was not before.

    Args:
        before: what the process had before the run.
        allowed: what it had when the environment was ready, as long as that is open. What the
            environment's servers accept is allowed, too.
        loop: the running loop, which has been made for this run.
        own: tasks that do not count.
    """
    now = Belongings.now()
    served = set[object]()
    if allowed is not before:
        served = _listens_at(allowed.descriptors - before.descriptors)
    for fd, link in sorted(now.descriptors - before.descriptors - allowed.descriptors):
        if not (served and link.startswith("socket:") and _address_of(fd) in served):
            yield _descriptor_piece(fd, link)
    for pid in sorted(now.processes - before.processes - allowed.processes):
        yield Piece(Category.PROCESS, "process", f"process {pid} still runs: {_command_of(pid)}")
    yield from _thread_pieces(now.threads - before.threads - allowed.threads, allowed)
    for task in asyncio.all_tasks(loop).difference(own):
        yield _task_piece(task)
    yield from _watched_descriptors(loop, now, before)


def surplus(pieces: Iterable[Piece], normal: Counts) -> list[Piece]:
    """Return the pieces beyond what is normal, the last of each kind."""
    left = normal.copy()
    beyond = list[Piece]()
    for piece in pieces:
        key = piece.category, piece.kind
        if left[key] > 0:
            left[key] -= 1
        else:
            beyond.append(piece)
    return beyond


def told_once(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces without what was open at one look and was collected by the next."""
    pieces = list(pieces)
    warnings = [
        each.evidence for each in pieces if each.category in {Category.COLLECTED, Category.DROPPED}
    ]
    return [
        each
        for each in pieces
        if not any(
            re.search(rf"{re.escape(name)}(?!\d)", warning)
            for name in each.known_as
            for warning in warnings
        )
    ]


def count(pieces: Iterable[Piece]) -> Counts:
    """Count pieces by what they are counted as."""
    return Counter((piece.category, piece.kind) for piece in pieces)


# Descriptors and processes


def _descriptor_piece(fd: int, link: str) -> Piece:
    number = f"fd={fd}"
    if link.startswith("socket:"):
        words = f"socket {fd} is open{_ends_of(fd)}"
        return Piece(Category.TRANSPORT, "socket", words, known_as=(number,))
    kind = re.sub(r"\[\d+\]", "", link) if not link.startswith("/") else "file"
    words = f"descriptor {fd} is open on {link}"
    return Piece(Category.DESCRIPTOR, kind, words, known_as=(number, f"name={link!r}"))


def _listens_at(descriptors: Iterable[tuple[int, str]]) -> set[object]:
    """Return the addresses at which sockets among these descriptors listen."""
    found = set[object]()
    for fd, link in descriptors:
        with suppress(OSError):
            if link.startswith("socket:") and os.readlink(f"/proc/self/fd/{fd}") == link:
                with socket.socket(fileno=os.dup(fd)) as ours:
                    if ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        found.add(ours.getsockname())
    return found


def _address_of(fd: int) -> object:
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as ours:
        return ours.getsockname() or None
    return None


def _ends_of(fd: int) -> str:
    ends = ""
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as ours:
        ends = f", at {_address(ours.getsockname())}"
        ends += f", to {_address(ours.getpeername())}"
    return ends


def _address(address: object) -> str:
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    return repr(address) if address else "no address"


def processes() -> Iterator[int]:
    """Yield the child processes there are, where the kernel tells."""
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError):
                yield from map(int, Path(_CHILDREN.format(thread)).read_text().split())


def _command_of(pid: int) -> str:
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        return command.strip() or "it has ended, and nobody has waited for it"
    return "it has ended"


# Threads


def _is_pooled(thread: threading.Thread) -> bool:
    return _POOLED.match(thread.name) is not None


def _thread_pieces(threads: Iterable[threading.Thread], before: Belongings) -> Iterator[Piece]:
    """Yield a piece for each thread, and one for each executor that has been left with some.

    How many threads an executor has come to have is its own affair.
    """
    known = {id(_executor_of(thread)) for thread in before.threads}
    for thread in threads:
        executor = _executor_of(thread)
        if executor is None:
            yield _thread_piece(thread)
        elif id(executor) not in known:
            known.add(id(executor))
            words = f"an executor was not shut down, and has the thread {thread.name!r}"
            yield Piece(Category.THREAD, likeness_of(thread.name), words)


def _executor_of(thread: threading.Thread) -> ThreadPoolExecutor | None:
    """Return the executor that a thread works for, as long as anybody has it."""
    args: tuple[object, ...] = getattr(thread, "_args", ())
    if not args or not isinstance(args[0], ReferenceType):
        return None
    executor: object = cast("ReferenceType[object]", args[0])()
    return executor if isinstance(executor, ThreadPoolExecutor) else None


def _thread_piece(thread: threading.Thread) -> Piece:
    stack = stack_of_thread(thread)
    kept = "" if thread.daemon else "; the program cannot end while it runs"
    return Piece(
        Category.THREAD,
        likeness_of(thread.name),
        f"thread {thread.name!r} still runs{place_of(stack)}{kept}",
        listing(stack),
    )


def stack_of_thread(thread: threading.Thread) -> list[FrameType]:
    """Return the frames of a thread, outermost first; none once it has ended."""
    return list(_outer(sys._current_frames().get(thread.ident or 0)))[::-1]


# Where the threads of pools wait for work, and the queue that it comes by. The names are private,
# and a test fails if one changes.
_IDLE: dict[tuple[str, str], Callable[[Mapping[str, Any]], Any]] = {
    ("_worker", os.path.join("concurrent", "futures", "thread.py")): lambda its: its["work_queue"],
    ("_wait_woken", os.path.join("withal", "files", "calls", "pool.py")): lambda its: (
        its["self"].wakings
    ),
}


def threads_at_work() -> dict[int, tuple[int, int]]:
    """Return where each other thread is at this moment: one at rest stays there.

    A thread of a pool that waits for work is known to be at rest, and left out. On a machine under
    load it can take long until a thread takes what is queued for it: that one is at work.
    """
    me = threading.get_ident()
    return {
        ident: (id(frame.f_code), frame.f_lasti)
        for ident, frame in sys._current_frames().items()
        if ident != me and not is_idle(frame)
    }


def is_idle(frame: FrameType) -> bool:
    """Tell whether a thread whose innermost frame this is belongs to a pool that has no work."""
    code = frame.f_code
    for (name, file), queue in _IDLE.items():
        if code.co_name == name and code.co_filename.endswith(file):
            return bool(queue(frame.f_locals).empty())
    return False


# What is in the loop


def _task_piece(task: Task[Any]) -> Piece:
    stack = list(stack_of(task))
    words = f"task {name_of_task(task)} still waits{place_of(stack)}"
    return Piece(Category.TASK, name_of(task.get_coro()), words, listing(stack))


def _watched_descriptors(
    loop: AbstractEventLoop, now: Belongings, before: Belongings
) -> Iterator[Piece]:
    """Yield what the loop still watches although it was there before; new ones count anyway."""
    selector = getattr(loop, "_selector", None)  # asyncio's loop has one, and uvloop none
    mapping = selector.get_map() if selector is not None else None
    fresh = {fd for fd, _ in now.descriptors - before.descriptors}
    wake_up = getattr(loop, "_ssock", None)
    own = -1 if wake_up is None else wake_up.fileno()
    for fd in mapping or ():
        if fd != own and fd not in fresh and not is_left_out(fd):
            yield Piece(Category.TRANSPORT, "watched", f"the loop still watches descriptor {fd}")


def _outer(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
