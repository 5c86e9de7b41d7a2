"""A part file, for the event loop: gathers chunks into batches, which a thread writes."""

from __future__ import annotations

import asyncio
from typing import final

from withal._core.events import Outcome
from withal.fetch.disk.part_file_io import Kept, PartFileIO, Piece
from withal.fetch.transfers.resource_events import ResourceEvents
from withal.files.threads.calls import call, call_in_thread

BATCH_BYTES = 512 * 1024
"""The size of a batch; see `withal.files`."""


@final
class TransferFile:
    """Receives chunks of one file. Call `publish` or `leave` at the end.

    Attributes:
        received: the received bytes of the file, including those of earlier attempts.
    """

    __slots__ = ("_disk", "_entry", "_flight", "_gathered", "_waiting", "received")

    def __init__(self, disk: PartFileIO, name: str, received: int) -> None:
        self.received: int = received
        self._disk = disk
        self._gathered: list[Piece] = []
        self._waiting = 0  # bytes gathered
        self._flight: asyncio.Future[None] | None = None
        self._entry = ResourceEvents.begin("part_file", name)

    async def write(self, chunks: list[bytes], size: int) -> None:
        """Add chunks of `size` bytes to the end of the file; see `write_at`."""
        await self.write_at(self.received, chunks, size)

    async def write_at(self, position: int, chunks: list[bytes], size: int) -> None:
        """Add chunks of `size` bytes to the file. Waits only while two batches are unwritten.

        Raises:
            OSError: if an earlier batch could not be written.
        """
        while (flight := self._flight) is not None:
            if self._waiting < BATCH_BYTES and not flight.done():
                break
            if not flight.done():
                await asyncio.wait((flight,))
            if self._flight is flight:  # and no other connection has started the next batch
                self._flight = None
            flight.result()
        self._gathered.append((position, chunks))
        self._waiting += size
        self.received += size
        if self._waiting >= BATCH_BYTES and self._flight is None:
            self._flight = call_in_thread(self._hand_over().write)

    async def publish(self, expected: str | None) -> str | None:
        """Give the file its name, and return its digest, if computed.

        A cancellation ends the wait; the thread then completes or removes the file.
        """
        digest = await call(self._hand_over().publish, expected)
        self._end(Outcome.OK)
        return digest

    async def leave(self, *, keep: bool) -> Kept | None:
        """Close the file; keep it if `keep` is true and it can be continued.

        A cancellation ends the wait, not the call. Does nothing to a published file.
        """
        flight = call_in_thread(self._leave_on_disk, self._hand_over(), keep)
        self._end(Outcome.ERROR)
        return await flight

    @staticmethod
    def _leave_on_disk(disk: PartFileIO, keep: bool) -> Kept | None:
        return disk.leave(keep=keep)

    def _hand_over(self) -> PartFileIO:
        """Pass the gathered chunks on; the next call in a thread writes them."""
        if self._gathered:
            self._disk.put(self._gathered)
            self._gathered = []
            self._waiting = 0
        return self._disk

    def _end(self, outcome: Outcome) -> None:
        if self._entry is not None:
            self._entry.close(outcome)
