"""Waiting until a descriptor can be read or written without waiting.

Who waits is told by an event, which comes or does not, and cannot fail: an error is always one of
asking the loop, never of the wait. Who takes any error for a loop that cannot watch can rely on it.
"""

from __future__ import annotations

import asyncio


async def wait_readable(number: int, ready: asyncio.Event) -> None:
    """Wait until there is something to read, or the end of it, or until `ready` is set.

    Raises:
        OSError: the loop cannot watch what the descriptor is of, such as a regular file.
        NotImplementedError: the loop cannot watch descriptors.
    """
    loop = asyncio.get_running_loop()
    loop.add_reader(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)


async def wait_writable(number: int, ready: asyncio.Event) -> None:
    """Wait until there is room to write, or nobody to write to. Raises as `wait_readable` does."""
    loop = asyncio.get_running_loop()
    loop.add_writer(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(number)
