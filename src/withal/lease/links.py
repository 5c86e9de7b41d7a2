"""Connections to a server, shared by the leases in use: opened by the first, closed by the last.

Each event loop has its own. A call takes an idle connection or opens one. A connection whose call
was cancelled or failed is not used again, because an answer to that call may still arrive on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
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

    def connected(self) -> AbstractAsyncContextManager[L]:
        """Keep the link of the running loop open in this block."""
        return _Use(self)

    def begin(self) -> L:
        """Count one more user of the running loop's link, and return it."""
        loop = asyncio.get_running_loop()
        if loop not in self._links:
            self._links[loop] = self._make()
            self._users[loop] = 0
        self._users[loop] += 1
        return self._links[loop]

    def end(self) -> L | None:
        """Count one user less; return the link if it is to be closed."""
        loop = asyncio.get_running_loop()
        self._users[loop] -= 1
        if self._users[loop]:
            return None
        del self._users[loop]
        return self._links.pop(loop)


@final
class _Use(AbstractAsyncContextManager[L]):
    """One use of a link; a class, as this is entered for each lease."""

    __slots__ = ("_links",)

    def __init__(self, links: LeaseLinks[L]) -> None:
        self._links = links

    async def __aenter__(self) -> L:
        return self._links.begin()

    async def __aexit__(self, *_: object) -> None:
        link = self._links.end()
        if link is not None:
            await link.aclose()
