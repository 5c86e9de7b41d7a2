"""Connections to a server, which the leases in use share: opened by the first, closed by the last.

Each event loop has its own. A call takes an idle connection or opens one, and a connection whose
call was cancelled or failed is not used again: an answer may still be on its way to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar, final


class Link(Protocol):
    """What there is for one event loop while leases are in use."""

    async def aclose(self) -> None:
        """Close it."""
        ...


L = TypeVar("L", bound=Link)


@final
class Links(Generic[L]):
    """The links of one server.

    Args:
        make: makes one for the running loop. It connects when it is used.
    """

    def __init__(self, make: Callable[[], L]) -> None:
        self._make = make
        self._links: dict[asyncio.AbstractEventLoop, L] = {}
        self._users: dict[asyncio.AbstractEventLoop, int] = {}

    @property
    def here(self) -> L:
        """The link of the running loop, within `connected`."""
        return self._links[asyncio.get_running_loop()]

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[L]:
        """Keep the link of the running loop open in this block."""
        loop = asyncio.get_running_loop()
        if loop not in self._links:
            self._links[loop] = self._make()
            self._users[loop] = 0
        self._users[loop] += 1
        try:
            yield self._links[loop]
        finally:
            self._users[loop] -= 1
            if not self._users[loop]:
                del self._users[loop]
                await self._links.pop(loop).aclose()
