"""Reach: which tracked objects other objects refer to, directly or through further ones."""

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
"""The lowest rank of what answers for what it refers to."""


def objects_of(lives: Iterable[Held]) -> dict[int, Held]:
    """Return what is open, by the `id` of its object."""
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
    """Return which objects a root refers to, and how many references may still be followed.

    Args:
        root: where to start.
        objects: what is searched for, from `objects_of`.
        left: how many references may be followed.
        rank: what is found counts if its kind is of a lower rank.
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
    """Yield which of these are referred to by one of higher rank, each with that one."""
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
    """Return whether what this refers to says nothing of who holds what."""
    if isinstance(thing, type | ModuleType | FrameType | FunctionType | Task | str | int | bytes):
        return True
    return hasattr(type(thing), "run_until_complete")  # an event loop
