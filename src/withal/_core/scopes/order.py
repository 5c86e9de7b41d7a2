"""The order of closing (law 3): the reverse of opening; what opened together closes together."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby, takewhile
from typing import Generic, TypeVar, final

T = TypeVar("T", bound=Hashable)


@final
class Order(Generic[T]):
    """The open items in order of opening, in stages: the items of one stage opened together.

    Adding and removing take constant time, and a removed item leaves no memory behind, so that a
    long-lived scope can hold many short-lived items.
    """

    __slots__ = ("_is_one_each", "_next", "_stages")

    def __init__(self) -> None:
        self._stages: dict[T, int] = {}
        self._next = 0
        self._is_one_each = True  # whether no items were added together

    def __len__(self) -> int:
        return len(self._stages)

    def __contains__(self, item: T) -> bool:
        return item in self._stages

    def __iter__(self) -> Iterator[T]:
        """Yield each item, in order of opening."""
        return iter(self._stages)

    @property
    def last_stage(self) -> int:
        """The number of the stage that was added last; 0 if there was none."""
        return self._next

    def added_after(self, stage: int) -> list[T]:
        """Return the items that were added after the stage of this number, in order of opening."""
        newest = takewhile(lambda entry: entry[1] > stage, reversed(self._stages.items()))
        return [item for item, _ in newest][::-1]

    def add(self, item: T) -> None:
        """Add an item that has just opened."""
        self._next += 1
        self._stages[item] = self._next

    def add_together(self, items: Sequence[T]) -> None:
        """Add items that have opened together."""
        self._is_one_each = self._is_one_each and len(items) == 1
        self._next += 1
        for item in items:
            self._stages[item] = self._next

    def remove(self, item: T) -> None:
        """Remove an item, if it is there."""
        self._stages.pop(item, None)

    def closing(self) -> Iterator[Sequence[T]]:
        """Yield the present stages, in order of closing."""
        newest_first = [*reversed(self._stages)]
        if self._is_one_each:
            return zip(newest_first)
        stages = groupby(newest_first, dict(self._stages).__getitem__)
        return (list(stage) for _, stage in stages)
