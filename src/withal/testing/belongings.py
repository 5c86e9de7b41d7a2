"""Belongings: what a program holds that a manager can leave behind, before and after."""

from __future__ import annotations

import threading
from asyncio import Task, all_tasks, sleep
from dataclasses import dataclass
from typing import Any, final

from withal._core.descriptors import open_descriptors
from withal.inspection.threads import is_pooled
from withal.testing.deadlock import waiting

_TURNS = 10  # that a task or a transport gets which was told to end
_MOMENT = 0.02  # real seconds that a thread gets, in which the loop stands still
_MOMENTS = 3  # of these, for what a call in a thread is about to give back


@final
@dataclass(frozen=True, slots=True)
class Belongings:
    """The tasks of the running loop, and the descriptors and threads of the process.

    Descriptors are known where ``/proc`` is, and are taken for none elsewhere. Threads that a pool
    keeps for its next call do not count.
    """

    tasks: frozenset[Task[Any]]
    descriptors: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]

    @classmethod
    def now(cls) -> Belongings:
        """Return those of this moment."""
        threads = (each for each in threading.enumerate() if not is_pooled(each))
        return cls(frozenset(all_tasks()), open_descriptors(), frozenset(threads))

    async def left(self) -> list[str]:
        """Say of each thing that has been added since, and stays, what it is."""
        for _ in range(_TURNS):
            if not self._added():
                break
            await sleep(0)
        for thread in Belongings.now().threads - self.threads:
            thread.join(_MOMENT)
        for _ in range(_MOMENTS):
            if not self._added():
                break
            threading.Event().wait(_MOMENT)
            await sleep(0)
        return self._added()

    def _added(self) -> list[str]:
        now = Belongings.now()
        tasks = (f"task {each}" for each in waiting(now.tasks - self.tasks))
        files = (f"descriptor {fd} on {what}" for fd, what in now.descriptors - self.descriptors)
        threads = (f"thread {thread.name!r}" for thread in now.threads - self.threads)
        return [*tasks, *sorted(files), *sorted(threads)]
