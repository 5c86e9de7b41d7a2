"""A limit on the bytes a second that are received."""

from __future__ import annotations

import asyncio
from typing import final


@final
class Throttle:
    """Has those who receive wait, so that together they receive no more than so many a second."""

    __slots__ = ("_free_at", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free_at = 0.0

    def set_rate(self, rate: float) -> None:
        """Change how many bytes a second there are."""
        self._rate = rate

    async def wait_turn(self, size: int) -> None:
        """Wait until so many bytes, which have been received, were due."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
