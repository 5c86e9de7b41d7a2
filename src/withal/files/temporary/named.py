"""Temporary files with a name: a file object that removes its file when it is closed."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, AnyStr, final

from withal.files.streams.proxy import Forwarding
from withal.files.temporary.named_io import NamedOnDisk, Options
from withal.files.threads.calls import call


@final
class NamedFile(Forwarding[AnyStr]):
    """The value of `NamedTemporaryFile`: a file object with a name, which is removed at the end.

    One that is dropped without being closed is removed by the garbage collector or when the
    interpreter ends.

    Attributes:
        file: the file object of `withal.files.open` that does the work.
        name: the path, str or bytes.
        delete: whether the file is removed in the end.
    """

    __slots__ = ("_delete_on_close", "_on_disk", "delete", "file", "name")

    def __init__(
        self, file: object, on_disk: NamedOnDisk, *, delete: bool, delete_on_close: bool
    ) -> None:
        self.file: Any = file
        self.name: Any = on_disk.path
        self.delete: bool = delete
        self._delete_on_close = delete and delete_on_close
        self._on_disk = on_disk
        if delete:
            weakref.finalize(self, on_disk.remove)

    def __repr__(self) -> str:
        return f"<NamedFile {self.name!r}>"

    @property
    def _target(self) -> Any:  # as `file`
        return self.file

    async def _perform(
        self, method: str, *args: object, **options: object
    ) -> Any:  # what that method returns
        return await getattr(self.file, method)(*args, **options)

    @property
    def raw(self) -> Any:  # as `file`
        """The unbuffered file object underneath a binary one: the same, here."""
        return self.file.raw

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.file.fileno()  # type: ignore[no-any-return]

    def statistics(self) -> Any:  # as that of `file`
        """Return the counts of its operations so far."""
        return self.file.statistics()

    async def close(self) -> None:
        """Close the file, and remove it unless `delete` or `delete_on_close` is false.

        A cancellation ends the wait: the file is closed and removed a moment later.

        Raises:
            OSError: if buffered data cannot be written, or the file cannot be removed.
        """
        await self._end(remove=self._delete_on_close)

    async def _end(self, *, remove: bool) -> None:
        try:
            await self.file.close()
        finally:  # also after a cancellation; the call is submitted before this waits again
            if remove:
                await call(self._on_disk.remove)

    def __aiter__(self) -> Any:  # the file's own iterator, which is faster
        return self.file.__aiter__()

    def batches(self) -> AsyncGenerator[list[AnyStr]]:
        """Iterate over lists of lines."""
        return self.file.batches()  # type: ignore[no-any-return]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end(remove=self.delete)


async def open_named(options: Options, *, delete: bool, delete_on_close: bool) -> NamedFile[Any]:
    """Create a temporary file and open it. A cancelled call leaves no file."""
    on_disk = NamedOnDisk(options)
    try:
        file = await options.open(on_disk.make)
    except BaseException as error:
        try:
            await call(on_disk.remove)
        except OSError as left:
            error.add_note(f"and the temporary file is still there: {left}")
        raise
    return NamedFile(file, on_disk, delete=delete, delete_on_close=delete_on_close)
