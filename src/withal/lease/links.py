"""Connections to a server, shared by the leases in use: opened by the first, closed by the last.

Each event loop has its own. A call takes an idle connection or opens one. A connection whose call
was cancelled or failed is not used again, because an answer to that call may still arrive on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar, final


class Link(Protocol):
    """The connections of one event loop."""

    async def aclose(self) -> None:
        """Close the connections."""
        ...


L = TypeVar("L", bound=Link)


@final
class LeaseLinks(Generic[L]):
    """The links of one server.

    Args:
        make: creates a link for the running loop; it connects when it is first used.
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
