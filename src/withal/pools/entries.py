"""Records which tasks have entered a shared object, so that each exit finds its entry."""

from __future__ import annotations

from asyncio import Task, current_task
from typing import final

from withal.pools.cell import Cell
from withal.pools.use import Use


@final
class Entries:
    """The uses of one object that is itself the context manager, by task."""

    __slots__ = ("_by_task",)

    def __init__(self) -> None:
        self._by_task: dict[Task[object] | None, list[tuple[Cell, Use]]] = {}

    def add(self, cell: Cell, use: Use) -> None:
        """Record that the task of a use has entered."""
        self._by_task.setdefault(use.task, []).append((cell, use))

    def pop(self) -> tuple[Cell, Use] | None:
        """Remove and return the last entry of the calling task, or else of any other task.

        A framework may exit in another task than the one that entered.
        """
        if not self._by_task:
            return None
        task = current_task()
        key = task if task in self._by_task else next(reversed(self._by_task))
        entered = self._by_task[key]
        found = entered.pop()
        if not entered:
            del self._by_task[key]
        return found
