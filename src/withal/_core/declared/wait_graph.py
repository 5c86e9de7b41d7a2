"""Which task waits for which declared resources, so that a deadlock is detected and raised.

A resource may open others by ``Scope.open`` while it opens or closes itself. If one of these waits
for it, directly or through others, all of them would wait without end. A plan cannot detect that,
since such a dependency is not declared. So each task that waits is registered, and before a task
waits it follows the registered waits: if they lead back to the task itself, it raises.

Limitation: a wait in a task that the resource has started itself, as with a task group, is not
registered.
"""

from __future__ import annotations

from asyncio import Task, current_task
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from withal._core.declared.plan import Node, cycle
from withal._core.resources.managed import Openable


@final
@dataclass(frozen=True, slots=True)
class Wait:
    """What a task waits for.

    Attributes:
        asked: the resources it wants, a part of those in `hosts`.
        hosts: all that open together, or the one that closes; the wait ends when all are done.
    """

    asked: Sequence[Node]
    hosts: Mapping[Node, Openable]

    def way_to(self, node: Node) -> tuple[Node, ...]:
        """Return the path from the wanted resources to this one."""
        return (node,) if node in self.asked else (self.asked[0], node)


_waits: dict[Task[object], Wait] = {}


@contextmanager
def waiting(wait: Wait) -> Generator[None]:
    """Register the wait of the calling task for the duration of this block."""
    task = current_task()
    assert task is not None
    _waits[task] = wait
    try:
        yield
    finally:
        del _waits[task]


def check_circle(wait: Wait) -> None:
    """Check that what the calling task is about to wait for does not wait for this task.

    Raises:
        DependencyCycleError: if it does; the message draws the shortest circle.
    """
    caller = current_task()
    ways: deque[tuple[tuple[Node, ...], Wait]] = deque([((), wait)])
    seen = set[Openable]()
    while ways:
        way, step = ways.popleft()
        for node, host in step.hosts.items():
            following = None if host.task is None else _waits.get(host.task)
            if host.task is caller:
                raise cycle((node, *way, *step.way_to(node)))
            if following is not None and host not in seen:
                seen.add(host)
                ways.append(((*way, *step.way_to(node)), following))
