"""Which task waits for which declared resources, so that a circle of waits is refused.

A resource may open others by ``Scope.open`` while it opens or closes itself. If one of these waits
for it in turn, at whatever distance, none of them would ever go on. A plan cannot know that
beforehand, since it is not declared. So every task that waits is registered, and a task that is
about to wait follows what is registered: if that leads back to itself, it raises.

What a resource waits for in a task that it has started itself, with a task group say, is not seen.
"""

from __future__ import annotations

from asyncio import Task, current_task
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from withal._core.declared.plan import Node, cycle
from withal._core.resources.base import Openable


@final
@dataclass(frozen=True, slots=True)
class Wait:
    """What a task waits for.

    Attributes:
        asked: what it wants, of those below.
        hosts: all that open together, or the one that closes: the wait is over when all are done.
    """

    asked: Sequence[Node]
    hosts: Mapping[Node, Openable]

    def way_to(self, node: Node) -> tuple[Node, ...]:
        """Return the path from what was asked to this one."""
        return (node,) if node in self.asked else (self.asked[0], node)


_waits: dict[Task[Any], Wait] = {}


@contextmanager
def waiting(wait: Wait) -> Generator[None]:
    """Have it known in this block that the calling task waits."""
    task = current_task()
    assert task is not None
    _waits[task] = wait
    try:
        yield
    finally:
        del _waits[task]


def check_circle(wait: Wait) -> None:
    """Check that what the calling task is about to wait for does not wait for it.

    Raises:
        DependencyCycleError: it does; draws the shortest way round.
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
