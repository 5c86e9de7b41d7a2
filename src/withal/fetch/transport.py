"""The protocol between `fetch` and what speaks to servers.

A transport makes one request and follows nothing: retries, redirects, limits and files are not
its business. What goes wrong it raises as an `AttemptError`, in words of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, final

from yarl import URL


@final
@dataclass(slots=True)
class TransportRequest:
    """One request.

    Attributes:
        url: without user and password.
        headers: all that are to be sent, but ``Host`` and what a transport sends by itself.
        proxy: the URL of a proxy, with user and password where it takes them.
        public_only: connect to a public address or fail.
    """

    url: URL
    headers: Mapping[str, str]
    proxy: URL | None = None
    public_only: bool = False


class TransportResponse(Protocol):
    """What a server has answered: the head, and the body as it comes."""

    @property
    def status(self) -> int:
        """Such as 200."""
        ...

    @property
    def phrase(self) -> str:
        """What the server calls the status; may be empty."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By their names, whose case does not matter."""
        ...

    @property
    def peer(self) -> str | None:
        """The address that answered, in text; None where that is not known, or is a proxy's.

        It is known until the response is aborted.
        """
        ...

    async def read_some(self) -> list[bytes]:
        """Wait for more of the body, and return all that has come, in pieces; none at its end.

        Raises:
            AttemptError: there will be no more, and this is not the end.
        """
        ...

    def abort(self) -> None:
        """Let go: of the connection, too, unless the body has been read to its end."""
        ...


class Transport(Protocol):
    """Makes requests."""

    async def open(self, request: TransportRequest) -> TransportResponse:
        """Make a request, and wait for the head of its answer. Each answer must be aborted.

        Raises:
            AttemptError: there is none.
        """
        ...


OpenTransport: TypeAlias = AbstractAsyncContextManager[Transport]
