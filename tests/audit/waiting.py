"""A small program that waits here and there, for records to tell of. Its lines are their sites."""

from __future__ import annotations

from collections.abc import Generator
from types import coroutine


class Pool:
    """A pool of one connection."""

    async def __aenter__(self) -> Pool:
        await connect("primary")
        await connect("replica")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await turn()


async def connect(name: str) -> str:
    await turn()
    return name


async def use_pool() -> None:
    async with Pool():
        await turn()
        await turn()


@coroutine
def turn() -> Generator[None, None, None]:
    yield
