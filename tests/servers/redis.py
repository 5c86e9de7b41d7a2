"""A real Redis of the machine's packages, on a free port of 127.0.0.1."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from tests.servers.process import free_port, wait_until_listening

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
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until_listening(self.port)
        self._wait_until_loaded()

    def _wait_until_loaded(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            while True:
                connection.sendall(b"PING\r\n")
                if not connection.recv(100).startswith(b"-LOADING"):
                    return
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.stop(how)
        self.start()


@contextmanager
def redis_server(*options: str) -> Generator[Redis]:
    """Run a server in this block. It keeps nothing unless the options say so."""
    with tempfile.TemporaryDirectory(prefix="withal-redis-") as folder:
        server = Redis(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)
