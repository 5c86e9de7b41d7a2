"""Waiting until a descriptor can be read or written without waiting."""

from __future__ import annotations

import asyncio


async def wait_readable(number: int) -> None:
    """Wait until there is something to read, or the end of it.

    Raises:
        OSError: the loop cannot watch what the descriptor is of, such as a regular file.
        NotImplementedError: the loop cannot watch descriptors.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(number, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(number)


async def wait_writable(number: int) -> None:
    """Wait until there is room to write, or nobody to write to. Raises as `wait_readable` does."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(number, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(number)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
