"""Serving: a tracked program answers `withal top` on a Unix socket that only its owner can open.

The socket has mode 0600 and is in a folder of mode 0700. Each end gets the credentials of the other
from the kernel (SO_PEERCRED): https://man7.org/linux/man-pages/man7/unix.7.html
"""

from __future__ import annotations

import _socket
import json
import os
import stat
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast, final

from withal._core.aliases import JsonObject

ANSWER_SECONDS = 5.0
"""Seconds that either end waits for the other."""

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of the other end, as unix(7) has it


def folders() -> list[Path]:
    """Return the folders where sockets may be, the one to use first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    found = [Path(runtime) / "withal"] if runtime and os.path.isdir(runtime) else []
    return [*found, Path("/tmp") / f"withal-{os.geteuid()}"]


def is_private(folder: Path) -> bool:
    """Return whether a folder exists, and only this user can access it."""
    try:
        about = os.lstat(folder)
    except OSError:
        return False
    is_ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
    return is_ours and not about.st_mode & 0o077


def problem_with(folder: Path) -> str:
    """Create the folder if it is missing; return why it cannot be used, or an empty string."""
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    except OSError as exc:
        return f"cannot create the folder for the socket: {exc}"
    if not is_private(folder):
        return f"other users can access {folder}, or it is not a folder; remove it"
    return ""


def _remove_left(folder: Path) -> None:
    """Remove sockets of processes that were killed, and of an earlier process with the same id."""
    for path in folder.glob("*.sock"):
        if path.stem == str(os.getpid()) or not os.path.exists(f"/proc/{path.stem}"):
            with suppress(FileNotFoundError):
                path.unlink()


def peer_of(connection: Any) -> tuple[int, int]:
    """Return the process and the user at the other end of a connected socket."""
    data = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(data)
    return pid, user


@final
class SnapshotServer:
    """Answers each connection from a thread of its own, and closes it.

    It is created before tracking starts, and uses sockets of the C module, which are not followed:
    so it does not appear in reports.

    Args:
        answer: returns the data to answer with.

    Raises:
        OSError: if the socket cannot be created.
    """

    def __init__(self, answer: Callable[[], JsonObject]) -> None:
        folder = folders()[0]
        problem = problem_with(folder)
        if problem:
            raise OSError(problem)
        _remove_left(folder)
        self.path: Path = folder / f"{os.getpid()}.sock"
        self._answer = answer
        self._process = os.getpid()
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._listener.bind(str(self.path))
        self.path.chmod(0o600)
        self._listener.listen(4)
        os.register_at_fork(after_in_child=self._listener.close)

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._serve, name="withal track server", daemon=True).start()

    def stop(self) -> None:
        """Remove the socket, and end the thread."""
        if os.getpid() == self._process:
            with suppress(OSError):
                self.path.unlink()
            with suppress(OSError):
                self._listener.shutdown(_socket.SHUT_RDWR)  # wakes the thread

    def _serve(self) -> None:
        while True:
            try:
                descriptor: int = cast("Any", self._listener)._accept()[0]
            except OSError:
                self._listener.close()
                return
            connection = _socket.socket(fileno=descriptor)
            try:
                connection.settimeout(ANSWER_SECONDS)
                self._serve_one(connection)
            except Exception as exc:
                if sys.stderr is not None:
                    with suppress(OSError, ValueError):
                        sys.stderr.write(f"withal track: no answer for withal top: {exc!r}\n")
            finally:
                connection.close()

    def _serve_one(self, connection: _socket.socket) -> None:
        _, user = peer_of(connection)
        if user != os.geteuid():
            return
        data = json.dumps(self._answer()).encode()
        with suppress(OSError):  # the other end has closed
            connection.sendall(data)
