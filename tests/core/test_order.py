"""The order of closing, apart from any closing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from withal._core.scopes.order import Order


def test_stages_come_newest_first() -> None:
    order: Order[str] = Order()
    order.add("a")
    order.add_together(["b", "c"])
    order.add("d")
    assert [set(stage) for stage in order.closing()] == [{"d"}, {"b", "c"}, {"a"}]


def test_what_was_removed_is_not_closed() -> None:
    order: Order[str] = Order()
    order.add_together(["a", "b"])
    order.remove("a")
    order.remove("never there")
    assert list(order.closing()) == [["b"]]
    assert (len(order), "a" in order, list(order)) == (1, False, ["b"])


@given(st.lists(st.integers(min_value=1, max_value=4), max_size=20), st.data())
def test_every_item_comes_once_and_stages_keep_together(
    sizes: list[int], data: st.DataObject
) -> None:
    order: Order[tuple[int, int]] = Order()
    stages = [[(number, index) for index in range(size)] for number, size in enumerate(sizes)]
    for stage in stages:
        order.add_together(stage)
    everything = [item for stage in stages for item in stage]
    removed = data.draw(st.sets(st.sampled_from(everything))) if everything else set()
    for item in removed:
        order.remove(item)
    left = [[item for item in stage if item not in removed] for stage in stages]
    expected = [sorted(stage) for stage in reversed(left) if stage]
    assert [sorted(stage) for stage in order.closing()] == expected
