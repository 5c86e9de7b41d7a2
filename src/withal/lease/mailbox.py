"""Wake-ups from a server: one connection that listens for all claims of a process that wait.

A claim's id begins with the address of its mailbox. Whoever releases a lease, anywhere, sends the
id of the next claim to that address. So a wake-up goes to one process, and wakes one task.

Wake-ups may be lost, with the connection say. That delays a waiter, by some seconds at most, since
it asks again in any case to keep its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TypeAlias, final
from uuid import uuid4

from withal.lease.errors import LeaseServerError
from withal.lease.protocol import Unreachable

POLL = 0.1
"""Seconds between two requests of a waiter while wake-ups cannot be received."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds until the next attempt to listen

Listen: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncIterator[str]]]
"""Opens a connection that yields what is sent to an address."""


@final
class Mailbox:
    """Listens as soon as the first claim waits, until it is closed.

    Args:
        listen: how to listen.
    """

    def __init__(self, listen: Listen) -> None:
        self.address: str = uuid4().hex
        self.is_listening: bool = False
        self._listen = listen
        self._bells: dict[str, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None

    def claim_id(self) -> str:
        """Return an id for a claim that this mailbox can be reached by."""
        return f"{self.address}.{uuid4().hex}"

    @asynccontextmanager
    async def bell(self, claim: str) -> AsyncGenerator[MailboxBell]:
        """Have a bell ring in this block when the claim is sent a wake-up."""
        event = self._bells[claim] = asyncio.Event()
        if self._task is None:
            self._task = asyncio.create_task(self._receive(), name="wake-ups for leases")
        try:
            yield MailboxBell(self, event)
        finally:
            del self._bells[claim]

    async def aclose(self) -> None:
        """Stop to listen."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _receive(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            # Whatever it is, a waiter can do without; its own requests fail with it too.
            with suppress(Unreachable, LeaseServerError):
                async with self._listen(self.address) as claims:
                    self.is_listening = True
                    pause = _FIRST_PAUSE
                    for bell in self._bells.values():  # for what was sent before
                        bell.set()
                    async for claim in claims:
                        if claim in self._bells:
                            self._bells[claim].set()
            self.is_listening = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


@final
class MailboxBell:
    """Rings when the server has sent a wake-up, or might have and was not heard."""

    def __init__(self, mailbox: Mailbox, event: asyncio.Event) -> None:
        self._mailbox = mailbox
        self._event = event

    async def wait(self, seconds: float) -> None:
        """Wait for a ring; while nothing can be heard, for a short time only."""
        limit = seconds if self._mailbox.is_listening else min(seconds, POLL)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._event.wait()
        self._event.clear()
