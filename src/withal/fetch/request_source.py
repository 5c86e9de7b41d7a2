"""Where the requests of a batch come from."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from itertools import islice
from typing import Protocol, TypeAlias, final, runtime_checkable

from withal.fetch.request import Request


@runtime_checkable
class Source(Protocol):
    """Gives requests, some at a time."""

    async def take(self, most: int) -> list[str | Request]:
        """Wait for some more, and return them, at most so many; none at the end."""
        ...


Requests: TypeAlias = "Iterable[str | Request] | AsyncIterable[str | Request] | Source"
"""What `fetch` and `fetch_each` take."""


def source_of(requests: Requests) -> Source:
    """Return what gives these requests."""
    if isinstance(requests, Source):
        return requests
    return _Streamed(requests) if isinstance(requests, AsyncIterable) else _Given(requests)


@final
class _Given:
    """Requests that are to be had without waiting."""

    def __init__(self, requests: Iterable[str | Request]) -> None:
        self._requests = iter(requests)

    async def take(self, most: int) -> list[str | Request]:
        """Return the next."""
        return list(islice(self._requests, most))


@final
class _Streamed:
    """Requests of an asynchronous iterable, one at a time: the next may be long in coming."""

    def __init__(self, requests: AsyncIterable[str | Request]) -> None:
        self._requests: AsyncIterator[str | Request] = aiter(requests)

    async def take(self, most: int) -> list[str | Request]:
        """Wait for the next, and return it alone."""
        try:
            return [await anext(self._requests)]
        except StopAsyncIteration:
            return []
