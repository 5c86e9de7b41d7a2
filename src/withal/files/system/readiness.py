"""Waiting until a descriptor can be read or written without waiting.

The waiter is woken by an event, which cannot fail: an error always comes from
the request to the loop, never from the wait. So any error means that the loop cannot watch it.
"""

from __future__ import annotations

import asyncio


async def wait_readable(number: int, ready: asyncio.Event) -> None:
    """Wait until there is something to read, or the end of it, or until `ready` is set.

    Raises:
        OSError: if the loop cannot watch the descriptor, for example of a regular file.
        NotImplementedError: if the loop cannot watch descriptors.
    """
    loop = asyncio.get_running_loop()
    loop.add_reader(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)


async def wait_writable(number: int, ready: asyncio.Event) -> None:
    """Wait until there is room to write, or no reader. Raises as `wait_readable` does."""
    loop = asyncio.get_running_loop()
    loop.add_writer(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(number)
