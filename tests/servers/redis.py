"""A real Redis of the machine's packages, on a free port of 127.0.0.1."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from tests.servers.process import end, free_port, wait_until_ready

PROGRAM = shutil.which("redis-server")
MISSING = "there is no redis-server: apt-get install redis-server"


@final
class Redis:
    """A server that can be stopped, killed and started again, in one folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert PROGRAM is not None, MISSING
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder), *self._options]
        path = self._folder / "redis.log"
        with path.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until_ready(self._process, self._answers, path)

    def _answers(self) -> bool:
        """Return whether it answers, and has loaded its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            end(self._process, how)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.stop(how)
        self.start()


@contextmanager
def redis_server(*options: str) -> Generator[Redis]:
    """Run a server in this block. It keeps nothing unless the options say so."""
    with tempfile.TemporaryDirectory(prefix="withal-redis-") as folder:
        server = Redis(Path(folder), *options)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGKILL)
