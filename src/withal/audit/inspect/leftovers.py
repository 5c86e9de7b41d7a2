"""The leftovers of a run: descriptors, sockets, processes, threads and tasks.

Resources that existed before a run do not count. Each leftover has a kind, and the leftovers of
each kind are counted, since the number of a descriptor or the name of a temporary file varies
between runs. A run has a finding if it leaves more of a kind than the runs without a cancellation.
"""

from __future__ import annotations

import asyncio
import re
import threading
from asyncio import AbstractEventLoop, Task
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

from withal._core.descriptors import open_descriptors
from withal.audit.inspect.connections import SetupConnections
from withal.audit.inspect.relay import stack_of
from withal.audit.inspect.stacks import at_place, format_frames, name_of_task
from withal.audit.leftover import Counts, Leftover
from withal.audit.names import qualified_name
from withal.audit.normalized_text import without_varying_parts
from withal.audit.report.record import Category
from withal.inspection.descriptors import socket_of
from withal.inspection.loop import watched_descriptors
from withal.inspection.processes import child_processes, describe_process
from withal.inspection.threads import executor_of, is_pooled, stack_of_thread


@final
@dataclass(frozen=True, slots=True)
class ProcessState:
    """The resources of the process at one moment, by their identities."""

    descriptors: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]
    processes: frozenset[int]

    @classmethod
    def now(cls) -> ProcessState:
        """Return the present state."""
        return cls(
            open_descriptors(),
            frozenset(thread for thread in threading.enumerate() if not is_pooled(thread)),
            frozenset(child_processes()),
        )


def find_leftovers(
    before: ProcessState,
    allowed: ProcessState,
    loop: AbstractEventLoop,
    own: Iterable[Task[object] | None],
    connections: SetupConnections,
) -> Iterator[Leftover]:
    """Yield the resources of the process and of the running loop that did not exist before.

    Args:
        before: the state before the run.
        allowed: the state when the environment was ready, while that is open.
        loop: the running loop, which was created for this run.
        own: tasks that do not count.
        connections: those of the environment. What its servers accept does not count, nor, while
            it is open, what replaces a connection that it has closed.
    """
    now = ProcessState.now()
    new = sorted(now.descriptors - before.descriptors - allowed.descriptors)
    present = None if allowed is before else now.descriptors
    for fd, link in connections.not_of_setup(new, present):
        yield _descriptor_leftover(fd, link)
    for pid in sorted(now.processes - before.processes - allowed.processes):
        yield _process_leftover(pid)
    yield from _thread_leftovers(now.threads - before.threads - allowed.threads, allowed)
    for task in asyncio.all_tasks(loop).difference(own):
        yield _task_leftover(task)
    yield from _watched_descriptors(loop, now, before)


def beyond_baseline(leftovers: Iterable[Leftover], baseline: Counts) -> list[Leftover]:
    """Return the leftovers beyond the baseline, the last of each kind."""
    left = baseline.copy()
    beyond = list[Leftover]()
    for leftover in leftovers:
        key = leftover.category, leftover.kind
        if left[key] > 0:
            left[key] -= 1
        else:
            beyond.append(leftover)
    return beyond


def without_reported(leftovers: Iterable[Leftover], reported: Iterable[Leftover]) -> list[Leftover]:
    """Return the leftovers that an earlier search has not reported."""
    left = Counter((each.category, each.kind, each.evidence) for each in reported)
    new = list[Leftover]()
    for leftover in leftovers:
        key = leftover.category, leftover.kind, leftover.evidence
        if left[key] > 0:
            left[key] -= 1
        else:
            new.append(leftover)
    return new


def without_repetitions(leftovers: Iterable[Leftover]) -> list[Leftover]:
    """Return the leftovers without those that were open at one search and collected at the next."""
    leftovers = list(leftovers)
    warnings = [
        each.evidence
        for each in leftovers
        if each.category in {Category.COLLECTED, Category.DROPPED}
    ]
    return [
        each
        for each in leftovers
        if not any(
            re.search(rf"{re.escape(name)}(?!\d)", warning)
            for name in each.known_as
            for warning in warnings
        )
    ]


def count(leftovers: Iterable[Leftover]) -> Counts:
    """Count leftovers by category and kind."""
    return Counter((leftover.category, leftover.kind) for leftover in leftovers)


# Descriptors and processes


def _descriptor_leftover(fd: int, link: str) -> Leftover:
    number = f"fd={fd}"
    if link.startswith("socket:"):
        ends = socket_of(fd)
        words = f"socket {fd} is open" + ("" if ends is None else f", {ends}")
        return Leftover(Category.TRANSPORT, "socket", words, known_as=(number,))
    kind = re.sub(r"\[\d+\]", "", link) if not link.startswith("/") else "file"
    words = f"descriptor {fd} is open on {link}"
    return Leftover(Category.DESCRIPTOR, kind, words, known_as=(number, f"name={link!r}"))


def _process_leftover(pid: int) -> Leftover:
    command = describe_process(pid).command or "it has ended, but was never waited for"
    return Leftover(Category.PROCESS, "process", f"process {pid} still runs: {command}")


# Threads


def _thread_leftovers(
    threads: Iterable[threading.Thread], before: ProcessState
) -> Iterator[Leftover]:
    """Yield a leftover for each thread, but only one for each executor with threads.

    The number of threads that an executor has started may vary.
    """
    known = {id(executor_of(thread)) for thread in before.threads}
    for thread in threads:
        executor = executor_of(thread)
        if executor is None:
            yield _thread_leftover(thread)
        elif id(executor) not in known:
            known.add(id(executor))
            words = f"an executor was not shut down; it has the thread {thread.name!r}"
            yield Leftover(Category.THREAD, without_varying_parts(thread.name), words)


def _thread_leftover(thread: threading.Thread) -> Leftover:
    stack = stack_of_thread(thread)
    kept = "" if thread.daemon else "; the program cannot end while it runs"
    return Leftover(
        Category.THREAD,
        without_varying_parts(thread.name),
        f"thread {thread.name!r} still runs{at_place(stack)}{kept}",
        format_frames(stack),
    )


# Tasks and watched descriptors of the loop


def _task_leftover(task: Task[object]) -> Leftover:
    stack = list(stack_of(task))
    words = f"task {name_of_task(task)} still waits{at_place(stack)}"
    return Leftover(Category.TASK, qualified_name(task.get_coro()), words, format_frames(stack))


def _watched_descriptors(
    loop: AbstractEventLoop, now: ProcessState, before: ProcessState
) -> Iterator[Leftover]:
    """Yield older descriptors that the loop still watches; new descriptors count already."""
    fresh = {fd for fd, _ in now.descriptors - before.descriptors}
    for fd in watched_descriptors(loop):
        if fd not in fresh:
            yield Leftover(Category.TRANSPORT, "watched", f"the loop still watches descriptor {fd}")
