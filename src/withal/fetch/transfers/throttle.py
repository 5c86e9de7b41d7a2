"""A limit on the bytes received per second."""

from __future__ import annotations

import asyncio
from typing import final


@final
class Throttle:
    """Delays receivers, so that together they stay below a number of bytes per second."""

    __slots__ = ("_free_at", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free_at = 0.0

    def set_rate(self, rate: float) -> None:
        """Change the number of bytes per second."""
        self._rate = rate

    async def wait_turn(self, size: int) -> None:
        """Wait until `size` bytes, which have been received, are within the limit."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
