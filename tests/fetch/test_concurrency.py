"""How many at a time is found out, on links and servers that are simulated."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from withal.fetch.concurrency import FIRST_FILES, AdaptiveConcurrency

Link = Callable[[int], float]  # bytes a second, by how many are fetched at a time


def long_link(connections: int) -> float:
    """A megabyte a second for each, up to 40."""
    return 1e6 * min(connections, 40)


def short_link(connections: int) -> float:
    """One is enough; each more costs a little."""
    return 50e6 * 0.99 ** (connections - 1)


def thrashing(connections: int) -> float:
    """It is best at 12, and falls apart beyond."""
    return 1e6 * (connections if connections <= 12 else max(1, 12 - 0.5 * (connections - 12)))


def simulated(link: Link, *, seconds: int = 120, most: int = 64, noise: float = 0.0) -> float:
    """Return how much of what the best fixed number would have brought was brought."""
    drawn = random.Random(1)
    adaptive = AdaptiveConcurrency(most)
    brought = 0.0
    for _ in range(seconds):
        goodput = link(adaptive.limit) * drawn.uniform(1 - noise, 1 + noise)
        adaptive.add(int(goodput))
        brought += goodput
        adaptive.look(1.0, is_full=True)
    return brought / (seconds * max(link(number) for number in range(1, most + 1)))


@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize("link", [long_link, short_link, thrashing])
def test_it_comes_within_a_tenth_of_the_best_fixed_number(link: Link, noise: float) -> None:
    assert simulated(link, seconds=300, noise=noise) > 0.9


def test_it_is_far_better_than_eight_on_a_long_link() -> None:
    assert simulated(long_link, seconds=120) > 3 * long_link(8) / long_link(40)


@pytest.mark.parametrize("most", [1, 2, FIRST_FILES - 1, FIRST_FILES, FIRST_FILES + 1])
def test_it_never_goes_beyond_the_most(most: int) -> None:
    adaptive = AdaptiveConcurrency(most)
    for number in range(50):
        adaptive.add(1_000_000 * (number + 1) ** 2)
        assert 1 <= adaptive.look(1.0, is_full=True) <= most


def test_failures_make_it_smaller_down_to_one() -> None:
    adaptive = AdaptiveConcurrency(64)
    adaptive.limit = 50
    seen = []
    for _ in range(20):
        adaptive.fail()
        seen.append(adaptive.look(1.0, is_full=True))
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 1


def test_what_is_not_used_says_nothing() -> None:
    adaptive = AdaptiveConcurrency(64)
    for _ in range(20):
        adaptive.add(10)
        assert adaptive.look(1.0, is_full=False) == FIRST_FILES
