"""One attempt: what it takes for normal, and when."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal.audit import Category, audit


@asynccontextmanager
async def an_open_file() -> AsyncGenerator[None]:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    yield
    os.close(descriptor)


def test_after_a_hang_what_was_normal_before_the_tear_down_is_not_taken_for_normal() -> None:
    """There is but one look then, the last, and nothing of the environment may be there."""
    left: list[int] = []

    async def open_another_and_hang() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            left.append(os.open(os.devnull, os.O_RDONLY))
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if len(left) > 3:
                        raise
                    left.append(os.dup(left[0]))

    report = audit(open_another_and_hang, setup=an_open_file, deliveries=["early"])
    for descriptor in left:
        os.close(descriptor)
    found = [finding.category for finding in report.findings]
    assert found.count(Category.DESCRIPTOR) == len(left)
    assert Category.HANG in found
