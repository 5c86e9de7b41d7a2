"""The type of a file, queried once and cached: ``path.info``."""

from __future__ import annotations

import os
import stat
from typing import Literal, final

from withal.files.threads.calls import call

Kind = Literal["missing", "folder", "file", "other"]


@final
class PathInfo:
    """The cached information of a path; returned by `Path.info`.

    Each method is the coroutine of the one in `pathlib.types.PathInfo`. Missing information is
    queried by one call in a thread, and then cached, even if the file changes. The information of a
    path that `Path.iterdir` has yielded is cached from the start. ``Path(path)`` creates a path
    without cached information. If the query fails, the path counts as missing.
    """

    __slots__ = ("_followed", "_itself", "_links", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._itself: Kind | None = None
        self._links: bool | None = None
        self._followed: Kind | None = None

    def __repr__(self) -> str:
        return f"<PathInfo of {self._path!r}>"

    async def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether something exists at this path."""
        return await self._kind(follow_symlinks) != "missing"

    async def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether this is a folder."""
        return await self._kind(follow_symlinks) == "folder"

    async def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether this is a regular file."""
        return await self._kind(follow_symlinks) == "file"

    async def is_symlink(self) -> bool:
        """Whether this is a symbolic link, dangling or not."""
        if self._links is None:
            await self._kind(False)
        return bool(self._links)

    async def _kind(self, follow_symlinks: bool) -> Kind:
        known = self._followed if follow_symlinks else self._itself
        if known is not None:
            return known
        found, is_link = await call(stat_path, self._path, follow_symlinks)
        if follow_symlinks:
            self._followed = found
        else:
            self._itself, self._links = found, is_link
        return found

    def learn(self, entry: os.DirEntry[str]) -> None:
        """Use the data of a folder's listing, and query the target of a link; in a thread."""
        try:
            self._links = entry.is_symlink()
            self._itself = _kind_of(entry, follow_symlinks=False)
            if not self._links:
                self._followed = self._itself
            else:
                self._followed, _ = stat_path(self._path, True)
        except OSError:
            self._itself = self._links = self._followed = None  # to be queried then


def stat_path(path: str, follow_symlinks: bool) -> tuple[Kind, bool]:
    """Return the type of a path, and whether it is a link; in a thread."""
    try:
        mode = os.stat(path, follow_symlinks=follow_symlinks).st_mode
    except (OSError, ValueError):
        return "missing", False
    if stat.S_ISDIR(mode):
        return "folder", False
    return "file" if stat.S_ISREG(mode) else "other", stat.S_ISLNK(mode)


def _kind_of(entry: os.DirEntry[str], *, follow_symlinks: bool) -> Kind:
    if entry.is_dir(follow_symlinks=follow_symlinks):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=follow_symlinks) else "other"
