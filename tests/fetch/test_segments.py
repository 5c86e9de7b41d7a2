"""Segments: all bytes are given out, none twice, to however many connections."""

from __future__ import annotations

import itertools
import random

import pytest

from withal.fetch.disk.byte_ranges import ByteRanges
from withal.fetch.transfers.segments import LEAST_BYTES, Segment, SegmentPlan


@pytest.mark.parametrize("seed", range(30))
def test_each_byte_is_received_once_whatever_fails(seed: int) -> None:
    draw = random.Random(seed)
    total = draw.randrange(1, 40 * LEAST_BYTES)
    there = ByteRanges()
    for _ in range(draw.randrange(4)):
        start = draw.randrange(total)
        there.add(start, min(total, start + draw.randrange(5 * LEAST_BYTES)))
    received = there.size
    plan = SegmentPlan(there.gaps(total))
    held: list[Segment] = []
    while not plan.is_done:
        if len(held) < 4 and (segment := plan.take()) is not None:
            held.append(segment)
        segment = draw.choice(held)
        size = min(segment.left, draw.randrange(1, LEAST_BYTES))
        there.add(segment.position, segment.position + size)
        segment.position += size
        received += size
        if not segment.left or draw.random() < 0.1:
            held.remove(segment)
            plan.give_back(segment)
    assert received == total
    assert there.spans() == ((0, total),)


@pytest.mark.parametrize(("left", "is_split"), [(-1, False), (0, True), (1, True)])
def test_a_segment_is_split_only_into_halves_that_are_large_enough(
    left: int, is_split: bool
) -> None:
    plan = SegmentPlan([(0, 2 * LEAST_BYTES + left)])
    plan.take()
    assert (plan.take() is not None) == is_split


def test_a_free_segment_is_taken_by_where_it_starts() -> None:
    plan = SegmentPlan([(5, 10), (20, 30)])
    assert plan.take_at(6) is None
    segment = plan.take_at(20)
    assert segment is not None
    assert segment.end == 30


@pytest.mark.parametrize("seed", range(30))
def test_ranges_are_as_a_set_of_numbers_would_have_them(seed: int) -> None:
    draw = random.Random(seed)
    ranges, numbers = ByteRanges(), set[int]()
    for _ in range(12):
        start = draw.randrange(60)
        end = start + draw.randrange(-2, 12)
        ranges.add(start, end)
        numbers.update(range(start, end))
        spans = ranges.spans()
        assert [n for low, high in spans for n in range(low, high)] == sorted(numbers)
        assert all(low < high for low, high in spans)
        assert all(one[1] < two[0] for one, two in itertools.pairwise(spans))
        missing = [n for low, high in ranges.gaps(72) for n in range(low, high)]
        assert missing == sorted(set(range(72)) - numbers)
    assert ranges.size == len(numbers)
