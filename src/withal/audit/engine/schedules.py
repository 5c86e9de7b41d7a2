"""Schedules: choose which of the ready tasks runs next, at random or as in an earlier run.

asyncio runs tasks in the order in which they became ready. Another order can result from another
timing. If several tasks are ready, one is chosen; the others keep their order.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, BaseEventLoop, Task
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import CodeType
from typing import Any, Final, cast, final

from withal.audit.names import display_name, qualified_name
from withal.audit.scenario import ScenarioError

SEED_VERSION: Final = 1
"""The version of the algorithm that derives schedules from a seed."""


@final
@dataclass(frozen=True, slots=True)
class Seed:
    """The seed of random schedules. It is written with the version: ``1-7``, or ``7``."""

    number: int

    def __str__(self) -> str:
        return f"{SEED_VERSION}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Seed:
        """Parse a seed.

        Raises:
            ValueError: if it is invalid, or has another version.
        """
        version, dash, number = text.rpartition("-")
        if not number.isdecimal() or (dash and not version.isdecimal()):
            raise ValueError(
                f"{text!r} is not a seed; write a number, such as 7 or {SEED_VERSION}-7"
            )
        if dash and int(version) != SEED_VERSION:
            raise ValueError(
                f"the seed {text} has version {version}, and this withal has version "
                f"{SEED_VERSION}, which derives other schedules; write {number} to try those"
            )
        return cls(int(number))

    def random(self, schedule: int) -> Random:
        """Return the random generator for one of the schedules."""
        return Random(f"{self}-{schedule}")


@final
@dataclass(slots=True)
class Chooser:
    """Chooses among ready tasks, and records its choices.

    Attributes:
        random: the random generator; None to choose as in `given`.
        share: the share of random choices; the others are those of asyncio.
        given: by the number of the choice, from 1, how many tasks are skipped.
        chosen: the choices that were made, in the same form, if tasks were skipped.
        reordered: for each of these, which task ran before which.
        choices: the number of choices so far.
    """

    random: Random | None = None
    share: float = 1.0
    given: Mapping[int, int] = field(default_factory=dict[int, int])
    chosen: dict[int, int] = field(default_factory=dict[int, int])
    reordered: list[str] = field(default_factory=list[str])
    choices: int = 0

    def choose(self, ready: list[Task[object]]) -> int:
        """Return the index of the task that runs next."""
        self.choices += 1
        if self.random is not None:
            is_random = self.random.random() < self.share
            index = self.random.randrange(len(ready)) if is_random else 0
        else:
            index = min(self.given.get(self.choices, 0), len(ready) - 1)
        if index:
            self.chosen[self.choices] = index
            self.reordered.append(f"{_name(ready[index])} before {_name(ready[0])}")
        return index

    def ordered(
        self, loop_factory: Callable[[], AbstractEventLoop], excluded: CodeType
    ) -> Callable[[], AbstractEventLoop]:
        """Return a loop factory whose loops run tasks in the order chosen here.

        Args:
            loop_factory: creates the loops.
            excluded: the code of the attempt's own task, which keeps its place in the order.
        """

        def new_loop() -> AbstractEventLoop:
            loop: Any = loop_factory()
            if not isinstance(loop, BaseEventLoop) or not hasattr(loop, "_ready"):
                loop.close()
                raise ScenarioError(
                    f"schedules need the loop of asyncio, and not that of {type(loop).__module__}; "
                    "omit loop_factory or schedules"
                )
            cast("Any", loop)._ready = _Ready(self, excluded)
            return loop

        return new_loop


def _name(task: Task[object]) -> str:
    return display_name(task.get_name(), qualified_name(task.get_coro()))


class _Ready(deque[Any]):
    """The ready handles of a loop. One of the task steps at its head is chosen to run next."""

    def __init__(self, chooser: Chooser, excluded: CodeType) -> None:
        super().__init__()
        self._chooser = chooser
        self._spared = excluded

    def popleft(self) -> Any:
        tasks: list[Task[object]] = []
        for handle in self:
            task = self._task_of(handle)
            if task is None:
                break
            tasks.append(task)
        if len(tasks) < 2:
            return super().popleft()
        index = self._chooser.choose(tasks)
        handle = self[index]
        del self[index]
        return handle

    def _task_of(self, handle: Any) -> Task[object] | None:
        task: Any = getattr(handle._callback, "__self__", None)
        if handle._cancelled or not hasattr(task, "get_coro"):
            return None
        code = getattr(task.get_coro(), "cr_code", None)
        return None if code is self._spared else cast("Task[object]", task)
