"""Interim reports, written by a separate process.

If this process opened a file now and then, a program that inspects its own descriptors, as tests do
to find leaks, would see it. So only one socket is open here, from the program's start to its end.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import final

_LENGTH = struct.Struct("!Q")
_FIRST_DESCRIPTOR = 200
"""The lowest number of the socket: programs get the lowest free numbers, and some expect them."""


@final
class Interim:
    """Lets another process write texts, one after the other; it ends when this one does.

    It is created before the program starts, while there is only one thread. The process is not a
    child of this one, so the program cannot wait for it, and signals of the terminal do not reach
    it.

    Args:
        write: writes a text.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            try:
                if os.fork() == 0:
                    ours.close()
                    _write_all(theirs, write)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        theirs.close()
        with ours:
            self._descriptor = fcntl.fcntl(ours.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
        about = os.fstat(self._descriptor)
        self._identity = about.st_dev, about.st_ino

    def write(self, text: str) -> None:
        """Write a text, unless the program has closed the descriptor."""
        data = memoryview(text.encode())
        data = memoryview(_LENGTH.pack(len(data)) + data)
        with suppress(OSError):
            while data and self._is_ours():
                data = data[os.write(self._descriptor, data) :]

    def stop(self) -> None:
        """Wait until all texts are written."""
        if not self._is_ours():
            return
        with socket.socket(fileno=self._descriptor) as connection, suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)  # until the other end is closed

    def _is_ours(self) -> bool:
        try:
            about = os.fstat(self._descriptor)
        except OSError:
            return False
        return self._identity == (about.st_dev, about.st_ino)


def _write_all(connection: socket.socket, write: Callable[[str], None]) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):  # else a reader of the program's output would wait for this process
        os.dup2(null, standard)
    kept = os.dup2(connection.fileno(), 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    connection.detach()
    with open(kept, "rb") as incoming:
        while len(header := incoming.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(header)
            data = incoming.read(length)
            if len(data) == length:
                with suppress(OSError):  # writing the final report raises the same error
                    write(data.decode())
