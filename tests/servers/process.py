"""The process of a server of the tests: waits for its start and its end, both bounded."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 30.0


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Return whether something accepts connections on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until_ready(
    process: subprocess.Popen[bytes],
    is_ready: Callable[[], bool],
    log: Path,
    *,
    seconds: float = START_SECONDS,
) -> None:
    """Wait until a server that was started is ready.

    Raises:
        RuntimeError: if the server ends, or is not ready in time; it is killed then. The message
            has the end of its log.
    """
    until = time.monotonic() + seconds
    while not is_ready():
        status = process.poll()
        if status is None and time.monotonic() < until:
            time.sleep(0.02)
            continue
        process.kill()
        process.wait(STOP_SECONDS)
        problem = f"is not ready after {seconds:g} s" if status is None else f"ended with {status}"
        written = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the server {process.args!r} {problem}; its log ends with:\n{written}")


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Send a signal and wait for the end; if it does not end in time, kill it."""
    process.send_signal(how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
