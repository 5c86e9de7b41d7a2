"""Wake-ups from a server: one connection that listens for all waiting claims of a process.

A claim's id begins with the address of its mailbox. The process that releases a lease sends the id
of the next claim to that address. So a wake-up goes to one process, and wakes one task.

A wake-up may be lost, for example with the connection. That delays a waiter by a few seconds at
most, since it repeats its request in any case to keep its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TypeAlias, final
from uuid import uuid4

from withal.lease.errors import LeaseServerError
from withal.lease.protocol import Unreachable

POLL_SECONDS = 0.1
"""Seconds between two requests of a waiter while wake-ups cannot be received."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds until the next attempt to listen

Listen: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncIterator[str]]]
"""Opens a connection that yields the messages sent to an address."""


@final
class Mailbox:
    """Listens from the first waiting claim on, until it is closed.

    Args:
        listen: opens the connection that listens.
    """

    def __init__(self, listen: Listen) -> None:
        self.address: str = uuid4().hex
        self.is_listening: bool = False
        self._listen = listen
        self._bells: dict[str, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None

    def claim_id(self) -> str:
        """Return an id for a claim, which contains the address of this mailbox."""
        return f"{self.address}.{uuid4().hex}"

    @asynccontextmanager
    async def bell(self, claim: str) -> AsyncGenerator[MailboxBell]:
        """Return a bell that rings in this block when a wake-up for the claim is received."""
        event = self._bells[claim] = asyncio.Event()
        if self._task is None:
            self._task = asyncio.create_task(self._receive(), name="wake-ups for leases")
        try:
            yield MailboxBell(self, event)
        finally:
            del self._bells[claim]

    async def aclose(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _receive(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            # An error here only delays waiters; their own requests raise it, if it persists.
            with suppress(Unreachable, LeaseServerError):
                async with self._listen(self.address) as claims:
                    self.is_listening = True
                    pause = _FIRST_PAUSE
                    for bell in self._bells.values():  # wake-ups from before may be lost
                        bell.set()
                    async for claim in claims:
                        if claim in self._bells:
                            self._bells[claim].set()
            self.is_listening = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


@final
class MailboxBell:
    """Rings when the server has sent a wake-up, or may have sent one that was lost."""

    def __init__(self, mailbox: Mailbox, event: asyncio.Event) -> None:
        self._mailbox = mailbox
        self._event = event

    async def wait(self, seconds: float) -> None:
        """Wait for a ring; only for a short time while wake-ups cannot be received."""
        limit = seconds if self._mailbox.is_listening else min(seconds, POLL_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._event.wait()
        self._event.clear()
