"""Copying from one descriptor to another inside the kernel: `withal.files.os.sendfile`.

See https://man7.org/linux/man-pages/man2/sendfile.2.html.
"""

from __future__ import annotations

import asyncio
import os
from typing import final

from withal.files.system.readiness import wait_writable
from withal.files.threads.calls import call


async def sendfile(out_fd: int, in_fd: int, offset: int | None, count: int) -> int:
    """Copy up to `count` bytes from one descriptor to another inside the kernel.

    Returns how many bytes were copied, 0 at the end of the file. If a non-blocking socket accepts
    no data now, the event loop waits for it; `BlockingIOError` is not raised. A blocking socket
    occupies a thread until it has accepted all data, so prefer a non-blocking one. See
    https://man7.org/linux/man-pages/man2/sendfile.2.html.

    A cancellation during the wait for the socket means that nothing was sent. After that, the bytes
    may or may not be sent. The descriptors may be closed immediately.

    Raises:
        OSError: as `os.sendfile`.
    """
    while True:
        try:
            return await call(_Sending(out_fd, in_fd).send, offset, count)
        except BlockingIOError:
            await _wait_writable(out_fd)


@final
class _Sending:
    """Duplicates of two descriptors, so that the caller may close the originals."""

    __slots__ = ("_in", "_out")

    def __init__(self, out_fd: int, in_fd: int) -> None:
        self._out = os.dup(out_fd)
        try:
            self._in = os.dup(in_fd)
        except OSError:
            os.close(self._out)
            raise

    def send(self, offset: int | None, count: int) -> int:
        try:
            return os.sendfile(self._out, self._in, offset, count)
        finally:
            os.close(self._out)
            os.close(self._in)


async def _wait_writable(fd: int) -> None:
    own = os.dup(fd)  # the loop supports one waiter per descriptor
    try:
        await wait_writable(own, asyncio.Event())
    finally:
        os.close(own)
