"""The protocol of a transport, which makes HTTP requests for `fetch`.

A transport makes single requests. It does not retry, follow redirects, apply limits or write files.
It raises each failure as an `AttemptError` with its own message.
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
        headers: the headers to send, in addition to ``Host`` and those that the transport adds.
        proxy: the URL of a proxy, with user and password if it needs them.
        public_only: connect to a public address or fail.
    """

    url: URL
    headers: Mapping[str, str]
    proxy: URL | None = None
    public_only: bool = False


class TransportResponse(Protocol):
    """The response of a server: the head, and the body as it arrives."""

    @property
    def status(self) -> int:
        """The status code, such as 200."""
        ...

    @property
    def phrase(self) -> str:
        """The reason phrase of the status; may be empty."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive."""
        ...

    @property
    def peer(self) -> str | None:
        """The IP address of the server; None if it is not known, or is that of a proxy.

        It is available until the response is aborted.
        """
        ...

    async def read_some(self) -> list[bytes]:
        """Wait for more of the body, and return the received chunks; an empty list at its end.

        Raises:
            AttemptError: if the body ended early.
        """
        ...

    def abort(self) -> None:
        """Release the response; close its connection unless the body was read to its end."""
        ...


class Transport(Protocol):
    """Makes requests."""

    async def open(self, request: TransportRequest) -> TransportResponse:
        """Make a request, and wait for the head of the response. Each response must be aborted.

        Raises:
            AttemptError: if there is no response.
        """
        ...


OpenTransport: TypeAlias = AbstractAsyncContextManager[Transport]
