"""A line serves first come, first served, and those that share together."""

from __future__ import annotations

from withal.files.locks.fair_queue import Line, Ticket


def served(places: list[Ticket]) -> list[bool]:
    return [place.turn.done() for place in places]


async def test_each_is_served_when_the_one_before_has_left() -> None:
    line = Line()
    places = [line.join(shared=False) for _ in range(3)]
    assert served(places) == [True, False, False]
    line.leave(places[0])
    assert served(places) == [True, True, False]
    line.leave(places[1])
    assert served(places) == [True, True, True]
    line.leave(places[2])
    assert not line


async def test_shared_waiters_are_served_together_and_in_order() -> None:
    line = Line()
    places = [line.join(shared=shared) for shared in (True, True, False, True, True)]
    assert served(places) == [True, True, False, False, False]
    line.leave(places[0])
    assert served(places) == [True, True, False, False, False]
    line.leave(places[1])
    assert served(places) == [True, True, True, False, False]
    line.leave(places[2])
    assert served(places) == [True, True, True, True, True]


async def test_a_waiter_that_leaves_does_not_block_the_others() -> None:
    line = Line()
    places = [line.join(shared=shared) for shared in (True, False, True)]
    line.leave(places[1])
    assert served(places) == [True, True, True]  # the second one's turn is cancelled
    assert places[1].turn.cancelled()


async def test_one_may_pass_everybody() -> None:
    line = Line()
    places = [line.join(shared=shared) for shared in (True, False)]
    places.append(line.join(shared=True, at_once=True))
    assert served(places) == [True, False, True]
    line.leave(places[0])
    assert served(places) == [True, False, True]
    line.leave(places[2])
    assert served(places) == [True, True, True]
