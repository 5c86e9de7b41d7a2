"""Sources of requests: iterables, asynchronous iterables and files."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from itertools import islice
from typing import Protocol, TypeAlias, final, runtime_checkable

from withal.fetch.requests.request import Request


@runtime_checkable
class Source(Protocol):
    """Returns requests, some at a time."""

    async def take(self, most: int) -> list[str | Request]:
        """Wait for requests, and return at most `most` of them; an empty list at the end."""
        ...


Requests: TypeAlias = "Iterable[str | Request] | AsyncIterable[str | Request] | Source"
"""The type of the requests of `fetch` and `fetch_each`."""


def source_of(requests: Requests) -> Source:
    """Return a source for these requests."""
    if isinstance(requests, Source):
        return requests
    return _Streamed(requests) if isinstance(requests, AsyncIterable) else _Given(requests)


@final
class _Given:
    """The requests of an iterable."""

    def __init__(self, requests: Iterable[str | Request]) -> None:
        self._requests = iter(requests)

    async def take(self, most: int) -> list[str | Request]:
        """Return the next requests."""
        return list(islice(self._requests, most))


@final
class _Streamed:
    """The requests of an asynchronous iterable, one at a time, since the next may take long."""

    def __init__(self, requests: AsyncIterable[str | Request]) -> None:
        self._requests: AsyncIterator[str | Request] = aiter(requests)

    async def take(self, most: int) -> list[str | Request]:
        """Wait for the next request, and return only that."""
        try:
            return [await anext(self._requests)]
        except StopAsyncIteration:
            return []
