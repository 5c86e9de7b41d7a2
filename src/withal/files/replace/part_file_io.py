"""The blocking half of a part file: creates, writes, publishes and discards it, in threads.

The calls of one part file may run in any order: one that discards can overtake a batch that is
still waiting for its thread. So the data is not passed to the calls, but is in a queue. Each call
takes the lock, and a call after the end does nothing. The descriptors belong to the draft, not to a
call, so the cancellation of a waiter cannot lose them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import final

from withal.files.replace.staged_file import Draft, DraftState, about
from withal.files.system.complete_io import write_all
from withal.files.threads.at_exit import forget, keep


@final
class PartOnDisk:
    """One part file and its future name. Every method except `put` blocks."""

    __slots__ = ("__weakref__", "_batches", "_draft", "_failure", "_hash", "_lock", "_overwrite")

    def __init__(self, path: Path, *, overwrite: bool, durable: bool) -> None:
        self._draft = Draft(path, durable=durable)
        self._overwrite = overwrite
        self._batches: deque[list[bytes]] = deque()
        self._failure: BaseException | None = None
        self._hash = hashlib.sha256()
        self._lock = Lock()

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of the written data."""
        return self._hash.hexdigest()

    def put(self, chunks: list[bytes]) -> None:
        """Add a batch for the next call to write. Does not block."""
        self._batches.append(chunks)

    def write(self) -> None:
        """Write the queued data; create the file the first time.

        If the name is taken, it fails here and not only after all is written. The final rename
        checks the name again, in one step.

        Raises:
            OSError: names the path. No file is left, and later calls raise the same error.
        """
        self._do(self._make, self._refuse_existing, self._drain)

    def publish(self) -> None:
        """Write the rest and rename the file; if durable, so that it survives a power failure.

        Raises:
            FileExistsError: if the name exists, and `overwrite` is not set.
            OSError: names the path. Nothing is left.
        """
        self._do(self._make, self._drain, self._publish)

    def discard(self) -> None:
        """Remove the file, if it was made and not published.

        Raises:
            OSError: if it could not be removed; the message names the part file.
        """
        with self._lock:
            if self._draft.state is not DraftState.ENDED:
                self._draft.remove()

    def __del__(self) -> None:
        self.end_unclosed(0)

    def end_unclosed(self, patience: float) -> None:
        """Remove the file if it was made and neither published nor discarded."""
        if self._draft.state is DraftState.MADE and self._lock.acquire(timeout=patience):
            try:
                self._draft.end_unclosed()
            finally:
                self._lock.release()
        forget(id(self), None)

    def flush_at_loop_end(self, loop: object) -> None:
        """Do nothing: an incomplete file is not published."""

    def _do(self, *steps: Callable[[], None]) -> None:
        """Make the steps with the lock; an error removes the file and is kept."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._draft.state is not DraftState.ENDED:
                self._attempt(steps)

    def _attempt(self, steps: tuple[Callable[[], None], ...]) -> None:
        try:
            for step in steps:
                step()
        except BaseException as error:
            self._failure = about(self._draft.path, error)
            try:
                self._draft.remove()
            except OSError as left:
                self._failure.add_note(f"and the part file is still there: {left}")
            raise self._failure  # noqa: B904 - the error itself, or made from it

    def _make(self) -> None:
        if self._draft.state is DraftState.NEW:
            self._draft.open_folder()
            old = self._replaced()
            self._draft.create(os.O_WRONLY, 0o666 if old is None else 0o600)
            keep(self)
            self._draft.resemble(old)

    def _replaced(self) -> os.stat_result | None:
        """Return the status of the file to replace, whose permissions are kept; None for a link."""
        old = self._draft.status() if self._overwrite else None
        return old if old is not None and stat.S_ISREG(old.st_mode) else None

    def _refuse_existing(self) -> None:
        if not self._overwrite and self._draft.status() is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _drain(self) -> None:
        while self._batches:
            # One join, one hash, one write: each releases the interpreter's lock once. With a busy
            # event loop it can take 5 ms to get it back:
            # https://docs.python.org/3/library/sys.html#sys.setswitchinterval
            data = b"".join(self._batches.popleft())
            self._hash.update(data)
            write_all(self._draft.descriptor, data)

    def _publish(self) -> None:
        self._draft.resemble(self._replaced())
        self._draft.publish(overwrite=self._overwrite)
