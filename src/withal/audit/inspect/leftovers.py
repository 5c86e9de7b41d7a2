"""Residue: what a run may leave behind, looked at from outside: descriptors, tasks, threads, ...

What is there before a run is not its own. Of the rest each piece has a kind, and kinds are counted,
since the number of a descriptor or the name of a temporary file says nothing: a run leaves too much
behind if it leaves more of a kind than the runs without a cancellation.
"""

from __future__ import annotations

import asyncio
import re
import threading
from asyncio import AbstractEventLoop, Task
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, final

from withal._core.descriptors import open_descriptors
from withal.audit.inspect.relay import stack_of
from withal.audit.inspect.stacks import listing, name_of_task, place_of
from withal.audit.leftover import Counts, Piece
from withal.audit.names import name_of
from withal.audit.normalized_text import likeness_of
from withal.audit.report.record import Category
from withal.inspection.descriptors import (
    listening_addresses,
    local_address,
    socket_of,
)
from withal.inspection.loop import watched_descriptors
from withal.inspection.processes import child_processes, describe_process
from withal.inspection.threads import executor_of, is_pooled, stack_of_thread


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
            frozenset(thread for thread in threading.enumerate() if not is_pooled(thread)),
            frozenset(child_processes()),
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
        served = listening_addresses(allowed.descriptors - before.descriptors)
    for fd, link in sorted(now.descriptors - before.descriptors - allowed.descriptors):
        if not (served and link.startswith("socket:") and local_address(fd) in served):
            yield _descriptor_piece(fd, link)
    for pid in sorted(now.processes - before.processes - allowed.processes):
        yield _process_piece(pid)
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


def not_told(pieces: Iterable[Piece], told: Iterable[Piece]) -> list[Piece]:
    """Return the pieces that were not there at an earlier look, which has told of the others."""
    left = Counter((each.category, each.kind, each.evidence) for each in told)
    new = list[Piece]()
    for piece in pieces:
        key = piece.category, piece.kind, piece.evidence
        if left[key] > 0:
            left[key] -= 1
        else:
            new.append(piece)
    return new


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
        ends = socket_of(fd)
        words = f"socket {fd} is open" + ("" if ends is None else f", {ends}")
        return Piece(Category.TRANSPORT, "socket", words, known_as=(number,))
    kind = re.sub(r"\[\d+\]", "", link) if not link.startswith("/") else "file"
    words = f"descriptor {fd} is open on {link}"
    return Piece(Category.DESCRIPTOR, kind, words, known_as=(number, f"name={link!r}"))


def _process_piece(pid: int) -> Piece:
    command = describe_process(pid).command or "it has ended, and nothing has waited for it"
    return Piece(Category.PROCESS, "process", f"process {pid} still runs: {command}")


# Threads


def _thread_pieces(threads: Iterable[threading.Thread], before: Belongings) -> Iterator[Piece]:
    """Yield a piece for each thread, and one for each executor that has been left with some.

    How many threads an executor has come to have is its own affair.
    """
    known = {id(executor_of(thread)) for thread in before.threads}
    for thread in threads:
        executor = executor_of(thread)
        if executor is None:
            yield _thread_piece(thread)
        elif id(executor) not in known:
            known.add(id(executor))
            words = f"an executor was not shut down, and has the thread {thread.name!r}"
            yield Piece(Category.THREAD, likeness_of(thread.name), words)


def _thread_piece(thread: threading.Thread) -> Piece:
    stack = stack_of_thread(thread)
    kept = "" if thread.daemon else "; the program cannot end while it runs"
    return Piece(
        Category.THREAD,
        likeness_of(thread.name),
        f"thread {thread.name!r} still runs{place_of(stack)}{kept}",
        listing(stack),
    )


# What is in the loop


def _task_piece(task: Task[Any]) -> Piece:
    stack = list(stack_of(task))
    words = f"task {name_of_task(task)} still waits{place_of(stack)}"
    return Piece(Category.TASK, name_of(task.get_coro()), words, listing(stack))


def _watched_descriptors(
    loop: AbstractEventLoop, now: Belongings, before: Belongings
) -> Iterator[Piece]:
    """Yield what the loop still watches although it was there before; new ones count anyway."""
    fresh = {fd for fd, _ in now.descriptors - before.descriptors}
    for fd in watched_descriptors(loop):
        if fd not in fresh:
            yield Piece(Category.TRANSPORT, "watched", f"the loop still watches descriptor {fd}")
