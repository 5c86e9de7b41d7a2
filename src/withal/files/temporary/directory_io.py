"""Temporary folders as they lie on the disk: how they are made, and removed with all in them.

All of it blocks, and is called in threads.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from typing import Any, final

PAUSES = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""Seconds, in a thread, between two removals of a folder that others still put something into."""


@final
class FolderOnDisk:
    """The blocking half of a temporary folder. Made, it is there."""

    __slots__ = ("_ignore_errors", "_own", "name")

    def __init__(self, place: Any, ignore_errors: bool, delete: bool) -> None:
        self._ignore_errors = ignore_errors
        suffix, prefix, folder = place
        self._own: tempfile.TemporaryDirectory[Any] | None = None
        if delete:
            # It knows how to remove what has no permission to be, and what is left in the end.
            self._own = tempfile.TemporaryDirectory(suffix, prefix, folder, ignore_errors)
            self.name: Any = self._own.name  # str or bytes, as the place is
        else:
            self.name = tempfile.mkdtemp(suffix, prefix, folder)

    def remove(self) -> None:
        """Remove it, also while calls in other threads, cancelled ones perhaps, put more into it.

        What appears after a folder was listed has its removal fail. Another one finds it.
        """
        for pause in PAUSES:
            try:
                self._remove_once()
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
            if not os.path.exists(self.name):
                return
            time.sleep(pause)
        self._remove_once()

    def _remove_once(self) -> None:
        if self._own is not None:
            self._own.cleanup()
        elif os.path.exists(self.name):
            shutil.rmtree(self.name, ignore_errors=self._ignore_errors)
