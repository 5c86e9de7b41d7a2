"""A picture of this process's resources at one moment."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, fields
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, final

from withal._core.descriptors import open_descriptors
from withal.inspection.descriptors import Descriptor, describe_descriptors
from withal.inspection.loop import (
    Server,
    Timer,
    Transport,
    servers_of,
    timers_of,
    transports_of,
)
from withal.inspection.processes import Process, child_processes, describe_process
from withal.inspection.tasks import TaskState, describe_tasks, tasks_of
from withal.inspection.threads import ThreadState, describe_thread

T = TypeVar("T", bound=Hashable)


@final
@dataclass(frozen=True, slots=True)
class Picture:
    """The resources of a process. ``str()`` of it lists them by kind, one per line.

    Attributes:
        tasks: the tasks of the running loop, without the one that takes the picture.
        transports: the transports that the running loop watches.
        servers: the servers that accept connections in the running loop.
        timers: the calls that the running loop will make later.
        descriptors: the open descriptors of the process; sockets with their addresses.
        threads: the threads of the process, without the one that takes the picture.
        processes: the child processes of the process.
        temporary_folders: the folders of `tempfile.TemporaryDirectory` that exist.
    """

    tasks: tuple[TaskState, ...] = ()
    transports: tuple[Transport, ...] = ()
    servers: tuple[Server, ...] = ()
    timers: tuple[Timer, ...] = ()
    descriptors: tuple[Descriptor, ...] = ()
    threads: tuple[ThreadState, ...] = ()
    processes: tuple[Process, ...] = ()
    temporary_folders: tuple[str, ...] = ()

    def since(self, earlier: Picture) -> Picture:
        """Return a picture of the resources that are not in an earlier picture.

        A task, thread or transport counts as the same if it is the same object; a descriptor, if
        its number and its target are the same.
        """
        return Picture(
            *(_added(getattr(earlier, each.name), getattr(self, each.name)) for each in _FIELDS)
        )

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in _FIELDS)

    def __str__(self) -> str:
        lines: list[str] = []
        for each in _FIELDS:
            found: tuple[object, ...] = getattr(self, each.name)
            if found:
                lines.append(f"{each.name.replace('_', ' ')} ({len(found)})")
                lines += (f"  {thing}" for thing in found)
        return "\n".join(lines) or "nothing"


_FIELDS = fields(Picture)


def take() -> Picture:
    """Return the present resources of this process, and of the running loop if there is one.

    It can be called in any thread. Tasks, transports, servers and timers are those of the loop that
    runs in the calling thread; those of uvloop, except tasks, cannot be read. A picture keeps no
    object alive, and taking it has no side effects. It takes a fraction of a millisecond, and more
    for each socket.

    Example:
        >>> import asyncio, tempfile
        >>> from withal import inspection
        >>> async def main() -> None:
        ...     before = inspection.take()
        ...     task = asyncio.create_task(asyncio.sleep(60), name="heartbeat")
        ...     with tempfile.TemporaryFile():
        ...         added = inspection.take().since(before)
        ...     print(added.tasks[0].name, added.descriptors[0].kind)
        ...     task.cancel()
        >>> asyncio.run(main())
        heartbeat file
    """
    return Picture(
        *_of_the_loop(),
        describe_descriptors(open_descriptors()),
        tuple(map(describe_thread, _other_threads())),
        tuple(map(describe_process, sorted(child_processes()))),
        tuple(sorted(_temporary_folders())),
    )


def _of_the_loop() -> tuple[
    tuple[TaskState, ...], tuple[Transport, ...], tuple[Server, ...], tuple[Timer, ...]
]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return (), (), (), ()
    tasks = tasks_of(loop) - {asyncio.current_task(loop)}
    return describe_tasks(tasks), transports_of(loop), servers_of(loop), timers_of(loop)


def _other_threads() -> list[threading.Thread]:
    me = threading.current_thread()
    return [each for each in threading.enumerate() if each is not me]


def _temporary_folders() -> Iterable[str]:
    """Yield the folders of all `TemporaryDirectory` objects that were not cleaned up.

    Each object has a finalizer, which is found in the registry of `weakref.finalize`.
    """
    registry: Any = getattr(weakref.finalize, "_registry", {})
    for finalizer in list(registry):
        found = finalizer.peek()
        if found is not None and isinstance(found[0], TemporaryDirectory):
            folder: TemporaryDirectory[str] | TemporaryDirectory[bytes] = found[0]
            yield os.fsdecode(folder.name)


def _added(earlier: tuple[T, ...], now: tuple[T, ...]) -> tuple[T, ...]:
    known = set(earlier)
    return tuple(each for each in now if each not in known)
