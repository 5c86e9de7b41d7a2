"""Reachability: the tracked objects that an object refers to, directly or through others."""

from __future__ import annotations

import gc
from asyncio import Task
from collections import deque
from collections.abc import Iterable, Iterator
from math import inf
from types import FrameType, FunctionType, ModuleType

from withal.tracking.held import Held

MAX_REFERENCES = 20_000
"""How many references are followed in one search."""


LOWEST_RANK = 4
"""The lowest rank of a resource that takes over the resources that it refers to."""


def objects_of(lives: Iterable[Held]) -> dict[int, Held]:
    """Return the open resources, by the `id` of their objects."""
    return {
        id(thing): held
        for held in lives
        if held.ending is None and held.ref is not None and (thing := held.ref()) is not None
    }


def reached(
    root: object,
    objects: dict[int, Held],
    left: int = MAX_REFERENCES,
    rank: float = inf,
) -> tuple[set[Held], int]:
    """Return the resources that `root` refers to, and how many references may still be followed.

    Args:
        root: the object to start from.
        objects: the resources to search for, from `objects_of`.
        left: how many references may be followed.
        rank: only resources of kinds with a lower rank count.
    """
    found: set[Held] = set()
    seen = {id(root)}
    todo = deque([root])
    while todo and left > 0:
        for each in gc.get_referents(todo.popleft()):
            left -= 1
            if id(each) in seen or _is_elsewhere(each):
                continue
            seen.add(id(each))
            held = objects.get(id(each))
            if held is not None and held.sort.rank >= rank:
                continue
            if held is not None:
                found.add(held)
            todo.append(each)
    return found, left


def found_below(roots: Iterable[Held], lives: Iterable[Held]) -> Iterator[tuple[Held, Held]]:
    """Yield each resource that one of higher rank refers to, after that one."""
    objects = objects_of(lives)
    found: set[Held] = set()
    left = MAX_REFERENCES
    for root in roots:
        thing = None if root.ref is None or root.ending is not None else root.ref()
        if not objects or thing is None or root.sort.rank < LOWEST_RANK or root in found:
            continue
        below, left = reached(thing, objects, left, root.sort.rank)
        found |= below
        for held in below:
            yield root, held


def _is_elsewhere(thing: object) -> bool:
    """Return whether the references of this object are not followed, since it owns none of them."""
    if isinstance(thing, type | ModuleType | FrameType | FunctionType | Task | str | int | bytes):
        return True
    return hasattr(type(thing), "run_until_complete")  # an event loop
