"""Finds the open resource that has a value, for an early release.

Most scopes release nothing early, so opening a resource does not update the index. The first search
indexes the open resources, and each later one those that have opened since.
"""

from __future__ import annotations

from typing import final

from withal._core.lifecycle import OPEN
from withal._core.resources.base import Resource
from withal._core.scopes.order import Order


@final
class ValueIndex:
    """The open resources of a scope by the identity of their values."""

    __slots__ = ("_by_id", "_indexed")

    def __init__(self) -> None:
        self._by_id: dict[int, Resource] = {}
        self._indexed = 0

    def find(self, resources: Order[Resource], value: object) -> Resource | None:
        """Return the newest open resource whose value or manager is `value`, or None."""
        for each in resources.added_after(self._indexed):
            self._by_id[id(each.value)] = each
        self._indexed = resources.last_stage
        found = self._by_id.get(id(value))
        if found is not None and found.phase is OPEN and found.matches(value):
            return found
        # Rare: `value` is the manager, or several resources have the same value, such as None.
        for each in reversed(list(resources)):
            if each.phase is OPEN and each.matches(value):
                return each
        return None

    def forget(self, resource: Resource) -> None:
        """Remove a resource that has closed."""
        if self._by_id.get(id(resource.value)) is resource:
            del self._by_id[id(resource.value)]
