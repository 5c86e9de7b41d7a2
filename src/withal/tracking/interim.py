"""Interim reports: written by a process of its own, so that the program's descriptors stay its own.

A file that is opened now and then shows in a program that looks at its own descriptors, as tests
do to find leaks. Here one socket is open from the program's start to its end.
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
"""Descriptors from here on: programs take the lowest, and some expect which those are."""


@final
class Interim:
    """Has texts written, one after the other, by a process that ends with this one.

    It is made before the program starts, while there is one thread only. That process is no child
    of this one, which the program could wait for, and signals of the terminal do not reach it.

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
        """Have a text written, if the program has not closed the descriptor."""
        data = memoryview(text.encode())
        data = memoryview(_LENGTH.pack(len(data)) + data)
        with suppress(OSError):
            while data and self._is_ours():
                data = data[os.write(self._descriptor, data) :]

    def stop(self) -> None:
        """Wait until what was begun is written."""
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
    for standard in range(3):  # whoever reads the program's output waits for its end
        os.dup2(null, standard)
    kept = os.dup2(connection.fileno(), 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    connection.detach()
    with open(kept, "rb") as incoming:
        while len(header := incoming.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(header)
            data = incoming.read(length)
            if len(data) == length:
                with suppress(OSError):  # the last report says so
                    write(data.decode())
