"""Temporary folders on the disk: how they are created, and removed with all that is in them.

All of it blocks, and is called in threads.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from typing import Any, final

PAUSES_SECONDS = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""Seconds between two attempts, in a thread, to remove a folder while files are created in it."""


@final
class FolderOnDisk:
    """The blocking half of a temporary folder, which is created with this object."""

    __slots__ = ("_ignore_errors", "_own", "name")

    def __init__(self, place: Any, ignore_errors: bool, delete: bool) -> None:
        self._ignore_errors = ignore_errors
        suffix, prefix, folder = place
        self._own: tempfile.TemporaryDirectory[Any] | None = None
        if delete:
            # It removes also files without permissions, and at the end of the interpreter.
            self._own = tempfile.TemporaryDirectory(suffix, prefix, folder, ignore_errors)
            self.name: Any = self._own.name  # str or bytes, as the place is
        else:
            self.name = tempfile.mkdtemp(suffix, prefix, folder)

    def remove(self) -> None:
        """Remove it, even while other calls, possibly cancelled ones, create files in it.

        A file that appears after its folder was listed makes the removal fail. The next attempt
        removes it.
        """
        for pause in PAUSES_SECONDS:
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
