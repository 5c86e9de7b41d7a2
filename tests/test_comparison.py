"""The comparison: what it says of withal. What it says of others is measured, not promised."""

from __future__ import annotations

import pytest
from benchmarks.closing.adapters.withal import CONTENDERS
from benchmarks.closing.measure import Row, measure

from withal import __version__


@pytest.mark.slow
def test_withal_closes_all_whatever_is_cancelled_and_opens_all_or_nothing_side_by_side() -> None:
    (contender,) = CONTENDERS
    assert measure(contender) == Row(
        name="withal",
        version=__version__,
        after_one="3 of 3",
        after_five="3 of 3",
        in_parallel="yes",
        all_or_nothing="yes",
        same_task="yes",
    )
