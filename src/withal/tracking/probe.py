"""A probe: returns the tasks, threads and open resources of the process in which it runs.

`withal top` executes it in programs that may not have withal installed, so it imports only the
standard library. There both sides have the same version of Python, 3.14 or newer. A tracked program
imports it itself, and may have an older version.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any, cast

STACK_PLACES = 8
"""How many places of a stack are returned."""

_FRAMES = "cr_frame", "gi_frame", "ag_frame"
_AWAITED = "cr_await", "gi_yieldfrom", "ag_await"

# Classes of packages: the kind of resource, and the attribute that is true when it is closed.
_CLASSES = {
    ("aiohttp.client", "ClientSession"): ("session", "closed"),
    ("asyncpg.connection", "Connection"): ("connection", "is_closed"),
    ("asyncpg.pool", "Pool"): ("pool", "_closed"),
    ("httpx", "AsyncClient"): ("client", "is_closed"),
    ("httpx", "Client"): ("client", "is_closed"),
    ("psycopg", "AsyncConnection"): ("connection", "closed"),
    ("psycopg", "Connection"): ("connection", "closed"),
    ("websockets.asyncio.client", "ClientConnection"): ("websocket", "close_code"),
}


def look() -> dict[str, Any]:
    """Return the open resources of this process, its tasks and its threads, as data."""
    things = gc.get_objects()
    found = [each for each in things if _is_a(each, asyncio.Task) and not each.done()]
    return {
        "schema": "withal-top",
        "version": 1,
        "tracked": False,
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "target": " ".join(sys.orig_argv[1:]),
        "seconds": None,
        "open": _open(things),
        "tasks": tasks(found),
        "threads": threads(),
        "descriptors": descriptors(),
    }


def tasks(
    found: Iterable[Any], name_of: Callable[[object], str | None] = lambda _: None
) -> list[dict[str, Any]]:
    """Return the state of tasks, as data.

    Args:
        found: the tasks.
        name_of: describes an object that a task waits for, such as a lock; None if it cannot.
    """
    return [_task(each, name_of) for each in found]


def _task(task: Any, name_of: Callable[[object], str | None]) -> dict[str, object]:
    coroutine = task.get_coro()
    frames: list[tuple[CodeType, int | None, FrameType]] = []
    last: object = None
    for awaited in _awaited(coroutine):
        frame = _first_of(awaited, _FRAMES)
        if frame is not None:
            frames.append((frame.f_code, frame.f_lineno, frame))
        last = awaited
    frames.reverse()
    runs = bool(getattr(coroutine, "cr_running", False))
    return {
        "name": task.get_name(),
        "coroutine": getattr(coroutine, "__qualname__", type(coroutine).__qualname__),
        "state": "runs" if runs else "waits",
        "waits_for": "" if runs else _waits_for(last, frames, name_of),
        "age": None,
        "made_at": "",
        "site": "",
        "stack": [
            [code.co_filename, line, code.co_qualname] for code, line, _ in frames[:STACK_PLACES]
        ],
    }


def _awaited(awaited: object) -> Iterator[object]:
    while awaited is not None:
        yield awaited
        awaited = _first_of(awaited, _AWAITED)


def _waits_for(
    last: object,
    frames: list[tuple[CodeType, int | None, FrameType]],
    name_of: Callable[[object], str | None],
) -> str:
    """Return what a task waits for: another task, a known lock, or the function it has called."""
    near: list[Any] = [last, *gc.get_referents(last)]
    for each in near:
        if _is_a(each, asyncio.Task):
            return f"task {each.get_name()}"
        if type(each).__name__ == "_GatheringFuture":
            return f"gather of {len(each._children)}"
    if not frames:
        return ""
    code, _, frame = frames[0]
    name = name_of(frame.f_locals.get("self"))
    return name or code.co_qualname


def threads() -> list[dict[str, object]]:
    """Return the stack of each thread, without frames of this module."""
    frames = sys._current_frames()
    found: list[dict[str, object]] = []
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        stack: list[list[object]] = []
        while frame is not None and len(stack) < STACK_PLACES:
            if frame.f_code.co_filename != __file__:
                stack.append([frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname])
            frame = frame.f_back
        found.append({"name": thread.name, "daemon": thread.daemon, "stack": stack})
    return found


def descriptors() -> list[list[object]]:
    """Return the open descriptors, each with a description."""
    folder = "/proc/self/fd"
    found: list[list[object]] = []
    for number in sorted(int(each) for each in os.listdir(folder)):
        try:
            text = os.readlink(f"{folder}/{number}")
        except OSError:
            continue  # the descriptor of the listing itself
        found.append([number, _peers(number) if text.startswith("socket:") else text])
    return found


def _peers(number: int) -> str:
    try:
        copy = socket.socket(fileno=os.dup(number))
    except OSError:
        return "socket"
    with copy:
        ends: list[str] = []
        for name in copy.getsockname, copy.getpeername:
            try:
                ends.append(_shown(name()))
            except OSError:
                ends.append("")
        local, peer = ends
        family = copy.family.name.removeprefix("AF_").lower()
        return f"socket {family} {local}" + (f" to {peer}" if peer else "")


def _shown(address: object) -> str:
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    return address if isinstance(address, str) else ascii(address)


def _open(things: list[object]) -> list[dict[str, object]]:
    """Return the open resources among objects, without the lines that opened them."""
    counts: dict[tuple[str, str], int] = {}
    for each in things:
        try:
            kind = _kind(each)
        except Exception:  # a class with an attribute of that name and another meaning
            continue
        if kind:
            key = kind, type(each).__qualname__
            counts[key] = counts.get(key, 0) + 1
    return [
        {"kind": kind, "name": name, "count": count, "age": None, "site": "", "task": ""}
        for (kind, name), count in sorted(counts.items())
    ]


def _kind(thing: Any) -> str:
    """Return the kind of an open resource, or an empty string for any other object."""
    kind, is_open = "", False
    if _is_a(thing, io.FileIO):
        kind, is_open = "file", not thing.closed
    elif _is_a(thing, socket.socket):
        kind, is_open = "socket", thing.fileno() >= 0
    elif _is_a(thing, asyncio.BaseTransport):
        kind, is_open = "transport", not thing.is_closing()
    elif _is_a(thing, asyncio.AbstractServer):
        kind, is_open = "server", thing.is_serving()
    elif _is_a(thing, subprocess.Popen):
        kind, is_open = "process", thing.returncode is None
    else:
        cls = cast("type[object]", type(thing))
        known = _CLASSES.get((cls.__module__, cls.__qualname__))
        if known is not None:
            closed = getattr(thing, known[1])
            kind, is_open = known[0], not (closed() if callable(closed) else closed)
    return kind if is_open else ""


def _is_a(thing: object, cls: type) -> bool:
    return issubclass(type(thing), cls)  # isinstance() may call code of the object (__class__)


def _first_of(thing: object, names: tuple[str, ...]) -> Any:
    for name in names:
        found = getattr(thing, name, None)
        if found is not None:
            return found
    return None
