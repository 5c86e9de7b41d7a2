"""Reads the body of a response, with a minimum and a maximum of bytes per second."""

from __future__ import annotations

import asyncio
from typing import final

from withal.fetch.concurrency import AdaptiveConcurrency
from withal.fetch.failures import AttemptError
from withal.fetch.transfers.throttle import Throttle
from withal.fetch.transports.transport import TransportResponse

_LOW_SPEED_SECONDS = 30.0


@final
class BodyReader:
    """Reads one body.

    Args:
        throttle: the maximum of bytes per second, of all bodies together; None for no limit.
        low_speed: the minimum of bytes per second, over 30 seconds; None for no limit.
        adaptive: counts the received bytes; None if the concurrency is fixed.
    """

    __slots__ = ("_adaptive", "_low_speed", "_received", "_since", "_throttle")

    def __init__(
        self,
        throttle: Throttle | None,
        low_speed: float | None,
        adaptive: AdaptiveConcurrency | None,
    ) -> None:
        self._throttle = throttle
        self._low_speed = low_speed
        self._adaptive = adaptive
        self._since = 0.0 if low_speed is None else asyncio.get_running_loop().time()
        self._received = 0

    async def read(self, response: TransportResponse) -> tuple[list[bytes], int]:
        """Wait for more of the body; return its pieces and their length, 0 at the end.

        Raises:
            AttemptError: if the body was cut off, or was slower than `low_speed`.
        """
        chunks = await response.read_some()
        size = len(chunks[0]) if len(chunks) == 1 else sum(map(len, chunks))
        if self._adaptive is not None:
            self._adaptive.add(size, files=not size)
        if self._throttle is not None:
            await self._throttle.wait_turn(size)
        if self._low_speed is not None:
            self._check_speed(size, self._low_speed)
        return chunks, size

    def _check_speed(self, size: int, least: float) -> None:
        now = asyncio.get_running_loop().time()
        self._received += size
        passed = now - self._since
        if passed < _LOW_SPEED_SECONDS:
            return
        if self._received < least * passed:
            raise AttemptError(
                f"the body came at {self._received / passed:.0f} bytes a second, "
                f"and {least:g} are the least allowed",
                is_transient=True,
            )
        self._since = now
        self._received = 0
