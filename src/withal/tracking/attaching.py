"""Attaching: getting the open resources of another process.

A process that serves is asked through its socket. In any other process of the same user, a probe is
executed, on CPython 3.14 and newer: https://peps.python.org/pep-0768/
"""

from __future__ import annotations

import ctypes
import inspect
import json
import os
import pwd
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from withal._core.aliases import JsonObject
from withal.tracking import probe
from withal.tracking.serving import ANSWER_SECONDS, folders, is_private, peer_of

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17  # of ptrace(2)


class AttachingError(Exception):
    """A process cannot be inspected; the text has the reason and what to do."""


def request_snapshot(pid: int) -> JsonObject:
    """Return the open resources of a process, its tasks and its threads.

    Raises:
        AttachingError: if it cannot be inspected.
    """
    _check(pid)
    answer = _asked(pid)
    return answer if answer is not None else _probed(pid)


def _check(pid: int) -> None:
    try:
        about = os.stat(f"/proc/{pid}")
    except OSError:
        raise AttachingError(f"there is no process {pid}") from None
    if about.st_uid != os.geteuid():
        try:
            name = pwd.getpwuid(about.st_uid).pw_name
        except KeyError:
            name = str(about.st_uid)
        raise AttachingError(f"process {pid} belongs to {name}; only its owner can look at it")


def _asked(pid: int) -> JsonObject | None:
    """Return the answer of a program that serves, or None if it does not."""
    for folder in folders():
        path = folder / f"{pid}.sock"
        if not is_private(folder) or not path.exists():
            continue
        with socket.socket(socket.AF_UNIX) as connection, suppress(ConnectionRefusedError):
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(str(path))
                if peer_of(connection) != (pid, os.geteuid()):
                    continue  # an earlier process with the same id has left it
                parts = iter(lambda: connection.recv(1 << 20), b"")
                return cast("JsonObject", json.loads(b"".join(parts)))
            except TimeoutError:
                raise AttachingError(
                    f"process {pid} has not answered for {ANSWER_SECONDS:g} s; it may be stopped"
                ) from None
            except (ValueError, ConnectionResetError):
                raise AttachingError(f"process {pid} ended while it answered") from None
    return None


def _probed(pid: int) -> JsonObject:
    """Return the answer of a probe, executed in the process."""
    execute: Callable[[int, str], None] | None = getattr(sys, "remote_exec", None)
    if execute is None:
        version = ".".join(map(str, sys.version_info[:2]))
        raise AttachingError(
            f"process {pid} was not started by `withal track --serve`, and inspecting any other "
            f"needs CPython 3.14 on both sides; this is {version}"
        )
    folder = Path(tempfile.mkdtemp(prefix="withal-top-"))
    try:
        script, answer = folder / "probe.py", folder / "answer.json"
        script.write_text(_script(answer))
        try:
            execute(pid, str(script))
        except PermissionError:
            raise AttachingError(
                f"the system does not permit inspecting process {pid}: see "
                "/proc/sys/kernel/yama/ptrace_scope, or run this as root"
            ) from None
        except (RuntimeError, OSError) as exc:
            raise AttachingError(_reason(pid, exc)) from None
        _wake(pid)
        return _awaited(pid, answer)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reason(pid: int, error: Exception) -> str:
    text = str(error)
    if "not enabled" in text or "disable" in text:
        return (
            f"remote debugging is off in process {pid} or here: it was started with "
            "PYTHON_DISABLE_REMOTE_DEBUG or -X disable-remote-debug"
        )
    version = ".".join(map(str, sys.version_info[:2]))
    return (
        f"process {pid} is not a program of CPython {version}, or was not started by "
        f"`withal track --serve`: {text}"
    )


def _script(answer: Path) -> str:
    """Return the source that the other process executes; it leaves no global name behind."""
    return f"""
def _withal_top():
    import json, os, sys
    launched = sys.modules.get("withal.tracking.launch")
    look = getattr(launched, "look_at_program", None)
    found = look() if look is not None else None
    if found is None:
        space = {{"__name__": "withal_probe", "__file__": "withal_probe"}}
        exec(compile({inspect.getsource(probe)!r}, "withal_probe", "exec"), space)
        found = space["look"]()
    half = {str(answer) + ".part"!r}
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        json.dump(found, file)
    os.replace(half, {str(answer)!r})
_withal_top()
del _withal_top
"""


def _wake(pid: int) -> None:
    """Interrupt a system call of a process, so that it returns to the interpreter.

    The interpreter runs the probe before its next instruction; a server without requests may wait
    for that forever. A trace stop interrupts the system call, which is then restarted; the program
    and its parent do not notice: https://man7.org/linux/man-pages/man2/ptrace.2.html
    """
    library = ctypes.CDLL(None, use_errno=True)
    trace = library.ptrace
    trace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    trace.restype = ctypes.c_long
    if trace(_SEIZE, pid, None, None) != 0:
        return  # a debugger traces it already, so it cannot be interrupted here
    trace(_INTERRUPT, pid, None, None)
    wall = 0x40000000  # __WALL: wait for any kind of child or tracee
    with suppress(ChildProcessError):
        os.waitpid(pid, wall)
    trace(_DETACH, pid, None, None)


def _awaited(pid: int, answer: Path) -> JsonObject:
    until = time.monotonic() + ANSWER_SECONDS
    while not answer.exists():
        if not os.path.exists(f"/proc/{pid}"):
            raise AttachingError(f"process {pid} has ended")
        if time.monotonic() > until:
            raise AttachingError(
                f"process {pid} has not answered for {ANSWER_SECONDS:g} s: its main thread runs no "
                "Python code, or it is stopped"
            )
        time.sleep(0.01)
    return cast("JsonObject", json.loads(answer.read_text()))
