"""The tasks, descriptors and threads that a manager leaves behind: those added since a snapshot."""

from __future__ import annotations

import threading
from asyncio import Task, all_tasks, sleep
from dataclasses import dataclass
from typing import final

from withal._core.descriptors import open_descriptors
from withal.inspection.threads import is_pooled
from withal.testing.deadlock import describe_waits

_SETTLE_TURNS = 10  # of the loop, for a task or a transport that is about to end
_THREAD_SECONDS = 0.02  # of real time for a thread, in which the loop stands still
_THREAD_ROUNDS = 3  # of that long, for what a call in a thread is about to close


@final
@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tasks of the running loop, and the descriptors and threads of the process.

    Without ``/proc`` it has no descriptors. Threads that a pool keeps for its next call do
    not count.
    """

    tasks: frozenset[Task[object]]
    descriptors: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]

    @classmethod
    def take(cls) -> Snapshot:
        """Return the snapshot of this moment."""
        threads = (each for each in threading.enumerate() if not is_pooled(each))
        return cls(frozenset(all_tasks()), open_descriptors(), frozenset(threads))

    async def leftovers(self) -> list[str]:
        """Return a description of each of them that has been added since, and stays."""
        for _ in range(_SETTLE_TURNS):
            if not self._added():
                break
            await sleep(0)
        for thread in Snapshot.take().threads - self.threads:
            thread.join(_THREAD_SECONDS)
        for _ in range(_THREAD_ROUNDS):
            if not self._added():
                break
            threading.Event().wait(_THREAD_SECONDS)
            await sleep(0)
        return self._added()

    def _added(self) -> list[str]:
        now = Snapshot.take()
        tasks = (f"task {each}" for each in describe_waits(now.tasks - self.tasks))
        files = (f"descriptor {fd} on {what}" for fd, what in now.descriptors - self.descriptors)
        threads = (f"thread {thread.name!r}" for thread in now.threads - self.threads)
        return [*tasks, *sorted(files), *sorted(threads)]
