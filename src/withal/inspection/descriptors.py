"""The open file descriptors of this process, and the file or socket of each.

They are read from ``/proc/self/fd``; where there is no ``/proc``, none are found. See
https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html.
"""

from __future__ import annotations

import os
import re
import socket
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, final

_FOLDER = "/proc/self/fd"
_NUMBERED = re.compile(r"(\w+):\[\d+\]")  # such as "pipe:[4711]"
_ANONYMOUS = re.compile(r"anon_inode:\[?(\w+)\]?")  # such as "anon_inode:[eventpoll]"


@final
@dataclass(frozen=True, slots=True)
class Socket:
    """An open socket.

    Attributes:
        family: such as ``"AF_INET"``.
        type: such as ``"SOCK_STREAM"``.
        local: the local address; empty if it has none.
        remote: the address of the peer; empty if it is not connected.
        is_listening: whether it accepts connections.
    """

    family: str
    type: str
    local: str
    remote: str
    is_listening: bool

    def __str__(self) -> str:
        if self.is_listening:
            return f"listening at {self.local}"
        ends = [f"at {self.local}"] if self.local else []
        return ", ".join([*ends, *([f"to {self.remote}"] if self.remote else [])]) or "unbound"


@final
@dataclass(frozen=True, slots=True)
class Descriptor:
    """An open file descriptor.

    Attributes:
        number: the descriptor.
        target: what it refers to, according to the kernel: a path, or such as ``"pipe:[4711]"``.
        socket: its addresses, if it is a socket.
    """

    number: int
    target: str
    socket: Socket | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """``"file"``, or the kernel's name, such as ``"socket"`` or ``"pipe"``."""
        if self.target.startswith("/"):
            return "file"
        found = _NUMBERED.match(self.target) or _ANONYMOUS.match(self.target)
        return found[1] if found else self.target

    @property
    def is_temporary(self) -> bool:
        """Whether it is a file in the folder for temporary files."""
        return self.target.startswith(os.path.join(tempfile.gettempdir(), ""))

    def __str__(self) -> str:
        what = self.target if self.socket is None else f"a socket {self.socket}"
        return f"{self.number}: {what}"


def describe_descriptors(found: Iterable[tuple[int, str]]) -> tuple[Descriptor, ...]:
    """Return these descriptors, in order of their numbers, with the addresses of sockets."""
    return tuple(
        Descriptor(number, target, socket_of(number) if target.startswith("socket:") else None)
        for number, target in sorted(found)
    )


def socket_of(number: int) -> Socket | None:
    """Return the socket of a descriptor; None if it is not a socket, or has closed."""
    with suppress(OSError), _duplicate_of(number) as ours:
        return Socket(
            _constant(ours.family),
            _constant(ours.type),
            _address_by(ours.getsockname),
            _address_by(ours.getpeername),
            _listens(ours),
        )
    return None


def listening_addresses(found: Iterable[tuple[int, str]]) -> set[object]:
    """Return the addresses at which sockets among these descriptors listen."""
    addresses = set[object]()
    for number, target in found:
        with suppress(OSError):
            if target.startswith("socket:") and os.readlink(f"{_FOLDER}/{number}") == target:
                with _duplicate_of(number) as ours:
                    if _listens(ours):
                        addresses.add(ours.getsockname())
    return addresses


def local_address(number: int) -> object:
    """Return the local address of the socket behind a descriptor; None if there is none."""
    with suppress(OSError), _duplicate_of(number) as ours:
        return ours.getsockname() or None
    return None


def remote_address(number: int) -> object:
    """Return the address of the peer of the socket behind a descriptor; None if it has none."""
    with suppress(OSError), _duplicate_of(number) as ours:
        return ours.getpeername() or None
    return None


def is_listening(number: int) -> bool:
    """Return whether the socket behind a descriptor accepts connections."""
    with suppress(OSError), _duplicate_of(number) as ours:
        return _listens(ours)
    return False


@contextmanager
def _duplicate_of(number: int) -> Generator[socket.socket]:
    """Yield a socket object for a duplicate of a descriptor."""
    with socket.socket(fileno=os.dup(number)) as ours:
        yield ours


def _listens(ours: socket.socket) -> bool:
    with suppress(OSError):
        return bool(ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False


def _constant(value: object) -> str:
    """Return the name of a constant of the socket module; its number if it has none there."""
    return str(getattr(value, "name", value))


def _address_by(method: Callable[[], object]) -> str:
    try:
        address: Any = method()  # its type depends on the family of addresses
    except OSError:  # it is not connected
        return ""
    if isinstance(address, bytes):
        return os.fsdecode(address).replace("\0", "@")
    if isinstance(address, str):
        return address
    host, port = str(address[0]), str(address[1])
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
