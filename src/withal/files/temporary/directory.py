"""Temporary folders: created when they are entered or awaited, and removed at the end."""

from __future__ import annotations

import os
from collections.abc import Generator
from types import TracebackType
from typing import Any, AnyStr, Generic, final, overload

from withal._core.errors import AlreadyEnteredError
from withal.files.temporary.directory_io import FolderOnDisk
from withal.files.temporary.named_io import Folder, Part
from withal.files.threads.calls import call, call_and_own


@final
class TemporaryDirectory(Generic[AnyStr]):
    """Make a folder, and remove it with all that is in it.

    ``async with`` yields its path and removes it when the block ends; awaiting it returns this
    object, with ``name``, ``cleanup`` and ``close``. Removing is one call in a thread, which is
    submitted before anything is awaited: a cancellation only ends the wait. Files that a cancelled
    call still creates in the folder meanwhile are removed, too.

    A folder that is dropped without being removed is removed, with a `ResourceWarning`, by the
    garbage collector or when the interpreter ends.

    Args:
        suffix: how its name ends.
        prefix: how its name begins; ``tmp`` by default.
        dir: the folder that it is in; `gettempdir` by default.
        ignore_cleanup_errors: ignore errors of removing it.
        delete: remove it when the block ends. With False, only `cleanup` removes it.

    Raises:
        OSError: if it cannot be created or removed.
        TypeError: if str and bytes are mixed in `suffix`, `prefix` and `dir`.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with TemporaryDirectory(prefix="build-") as path:
        ...         print(os.path.isdir(path), os.path.basename(path)[:6])
        ...     print(os.path.exists(path))
        >>> asyncio.run(main())
        True build-
        False
    """

    __slots__ = ("_delete", "_folder", "_ignore_errors", "_is_entered", "_place")

    @overload
    def __init__(
        self: TemporaryDirectory[str],
        suffix: str | None = None,
        prefix: str | None = None,
        dir: str | os.PathLike[str] | None = None,
        ignore_cleanup_errors: bool = False,
        *,
        delete: bool = True,
    ) -> None: ...

    @overload
    def __init__(
        self: TemporaryDirectory[bytes],
        suffix: bytes | None = None,
        prefix: bytes | None = None,
        dir: bytes | os.PathLike[bytes] | None = None,
        ignore_cleanup_errors: bool = False,
        *,
        delete: bool = True,
    ) -> None: ...

    def __init__(
        self,
        suffix: Part = None,
        prefix: Part = None,
        dir: Folder = None,  # noqa: A002
        ignore_cleanup_errors: bool = False,
        *,
        delete: bool = True,
    ) -> None:
        self._place: Any = (suffix, prefix, dir)
        self._ignore_errors = ignore_cleanup_errors
        self._delete = delete
        self._folder: FolderOnDisk | None = None
        self._is_entered = False

    def __repr__(self) -> str:
        return (
            f"<TemporaryDirectory {self._folder.name!r}>"
            if self._folder
            else "<TemporaryDirectory>"
        )

    def __await__(self) -> Generator[object, Any, TemporaryDirectory[AnyStr]]:
        return self._make().__await__()

    async def _make(self) -> TemporaryDirectory[AnyStr]:
        if self._folder is None:
            self._folder = await call_and_own(
                FolderOnDisk,
                self._place,
                self._ignore_errors,
                self._delete,
                give_back=FolderOnDisk.remove,
            )
        return self

    @property
    def name(self) -> AnyStr:
        """The path of the folder.

        Raises:
            ValueError: if there is no such path yet.
        """
        if self._folder is None:
            raise ValueError("the temporary folder is not made yet: await it, or enter it")
        return self._folder.name  # type: ignore[no-any-return]

    async def cleanup(self) -> None:
        """Remove the folder and all that is in it. Doing so twice is harmless."""
        if self._folder is not None:
            await call(self._folder.remove)

    async def close(self) -> None:
        """Do as `cleanup` does."""
        await self.cleanup()

    async def __aenter__(self) -> AnyStr:
        if self._is_entered:
            raise AlreadyEnteredError("TemporaryDirectory")
        self._is_entered = True
        await self._make()
        return self.name

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._delete:
            await self.cleanup()
