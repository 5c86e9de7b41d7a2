"""Waiting until a descriptor can be read or written without waiting."""

from __future__ import annotations

import asyncio


async def wait_readable(number: int, ready: asyncio.Future[None]) -> None:
    """Wait until there is something to read, or the end of it, or until `ready` is set.

    Raises:
        OSError: the loop cannot watch what the descriptor is of, such as a regular file.
        NotImplementedError: the loop cannot watch descriptors.
    """
    loop = asyncio.get_running_loop()
    loop.add_reader(number, wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(number)


async def wait_writable(number: int, ready: asyncio.Future[None]) -> None:
    """Wait until there is room to write, or nobody to write to. Raises as `wait_readable` does."""
    loop = asyncio.get_running_loop()
    loop.add_writer(number, wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(number)


def wake(ready: asyncio.Future[None]) -> None:
    """End a wait."""
    if not ready.done():
        ready.set_result(None)
