"""Waiting until a descriptor can be read or written without waiting.

The waiter is woken by an event, which cannot fail. So an error always means that the loop cannot
watch the descriptor.
"""

from __future__ import annotations

import asyncio


async def wait_readable(number: int, ready: asyncio.Event) -> None:
    """Wait for data to read, or its end, or until `ready` is set.

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
    """Wait until a write would not block, or the reader has closed its end.

    Raises as `wait_readable` does.
    """
    loop = asyncio.get_running_loop()
    loop.add_writer(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(number)
