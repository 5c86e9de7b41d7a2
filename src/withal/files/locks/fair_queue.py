"""A queue of tasks for one name: first come, first served; sharing tasks are served together."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, final


@final
@dataclass(eq=False, slots=True)
class Ticket:
    """The place of one task in a queue, from `join` to `leave`.

    Attributes:
        shared: whether it may be served together with others that share.
        turn: a future that is done when it is served.
    """

    shared: bool
    turn: asyncio.Future[None]


@final
class Line:
    """The served and the waiting tickets. Every method is called in the thread of one loop.

    A ticket that shares does not overtake a waiting one that does not share, so neither kind
    starves.
    """

    __slots__ = ("_served", "_waiting")

    def __init__(self) -> None:
        self._served: Final = set[Ticket]()
        self._waiting: Final = deque[Ticket]()

    def __bool__(self) -> bool:
        return bool(self._served or self._waiting)

    def join(self, *, shared: bool, at_once: bool = False) -> Ticket:
        """Take a place; it is served immediately if it need not wait, or with `at_once`."""
        place = Ticket(shared, asyncio.get_running_loop().create_future())
        if at_once:
            self._serve(place)
        else:
            self._waiting.append(place)
            self._advance()
        return place

    def leave(self, place: Ticket) -> None:
        """Leave the queue, served or not, and serve the next ones if possible."""
        if place in self._served:
            self._served.remove(place)
        else:
            self._waiting.remove(place)
            place.turn.cancel()
        self._advance()

    def _advance(self) -> None:
        while self._waiting and self._fits(self._waiting[0]):
            self._serve(self._waiting.popleft())

    def _fits(self, place: Ticket) -> bool:
        return not self._served or (place.shared and all(each.shared for each in self._served))

    def _serve(self, place: Ticket) -> None:
        self._served.add(place)
        if not place.turn.done():  # else the task that waits for it is being cancelled, and leaves
            place.turn.set_result(None)
