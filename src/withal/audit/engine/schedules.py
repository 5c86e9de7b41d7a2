"""Schedules: which of the tasks that are ready goes first, at random, or as it was before.

asyncio runs what is ready in the order in which it became ready. Another order is what another
timing would have led to. Where several tasks are ready, one is chosen; all else keeps its order.
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
"""Of the way from a seed to schedules. A seed of another version would lead to others."""


@final
@dataclass(frozen=True, slots=True)
class Seed:
    """What random schedules are made of. It is written with the version: ``1-7``, or ``7``."""

    number: int

    def __str__(self) -> str:
        return f"{SEED_VERSION}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Seed:
        """Read a seed.

        Raises:
            ValueError: if it is not a seed, or one of another version.
        """
        version, dash, number = text.rpartition("-")
        if not number.isdecimal() or (dash and not version.isdecimal()):
            raise ValueError(
                f"{text!r} is not a seed; write a number, such as 7 or {SEED_VERSION}-7"
            )
        if dash and int(version) != SEED_VERSION:
            raise ValueError(
                f"the seed {text} is of version {version} of the schedules, and this withal has "
                f"version {SEED_VERSION}, which makes other schedules of it; write "
                f"{number} to try those"
            )
        return cls(int(number))

    def random(self, schedule: int) -> Random:
        """Return what one of the schedules is chosen with."""
        return Random(f"{self}-{schedule}")


@final
@dataclass(slots=True)
class Chooser:
    """Chooses among tasks that are ready, and keeps what it has chosen.

    Attributes:
        random: what it chooses with; None to choose as given.
        share: how many of the choices are random; the others are asyncio's.
        given: by the number of the choice, from 1, how many tasks are passed over.
        chosen: the same as it was chosen, where any were.
        reordered: which task went before which, for each of these.
        choices: how many there were.
    """

    random: Random | None = None
    share: float = 1.0
    given: Mapping[int, int] = field(default_factory=dict[int, int])
    chosen: dict[int, int] = field(default_factory=dict[int, int])
    reordered: list[str] = field(default_factory=list[str])
    choices: int = 0

    def choose(self, ready: list[Task[Any]]) -> int:
        """Return which of several tasks goes next."""
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
        """Return what makes loops that run tasks in the order that is chosen here.

        Args:
            loop_factory: makes the loops.
            excluded: the code of a task that is not to be chosen: the attempt's own.
        """

        def new_loop() -> AbstractEventLoop:
            loop: Any = loop_factory()
            if not isinstance(loop, BaseEventLoop) or not hasattr(loop, "_ready"):
                loop.close()
                raise ScenarioError(
                    f"schedules need asyncio's own loop; {type(loop).__module__} keeps what is "
                    "ready to itself"
                )
            cast("Any", loop)._ready = _Ready(self, excluded)
            return loop

        return new_loop


def _name(task: Task[Any]) -> str:
    return display_name(task.get_name(), qualified_name(task.get_coro()))


class _Ready(deque[Any]):
    """The handles that a loop is to run. Of the steps of tasks at its head one is chosen."""

    def __init__(self, chooser: Chooser, excluded: CodeType) -> None:
        super().__init__()
        self._chooser = chooser
        self._spared = excluded

    def popleft(self) -> Any:
        tasks: list[Task[Any]] = []
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

    def _task_of(self, handle: Any) -> Task[Any] | None:
        task: Any = getattr(handle._callback, "__self__", None)
        if handle._cancelled or not hasattr(task, "get_coro"):
            return None
        code = getattr(task.get_coro(), "cr_code", None)
        return None if code is self._spared else cast("Task[Any]", task)
