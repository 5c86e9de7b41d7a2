"""Walking a tree of folders: each is listed completely in a thread, and many in one call.

Bottom-up, the caller cannot change the order, so the walk runs ahead by batches. Top-down, the
caller may edit the list of subfolders before the walk continues, and a removed folder must not be
read: it may be huge, or a mount that hangs. So only folders that the caller has accepted are read
ahead: subfolders of folders that it has already passed, in order. The alternative, to read
subfolders while the caller has their parent, would halve the calls for a deep and narrow tree, but
would read folders that are then removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from typing import Any, AnyStr, Generic, TypeAlias, final

from withal.files.threads.iterator import BATCH_SECONDS, ThreadedIterator
from withal.files.threads.stop import Stop, stoppable

BATCH_FOLDERS = 64
"""How many folders are listed in one call, top-down; they are in memory until they are visited."""

BATCH_ENTRIES = 10_000
"""After how many entries such a call ends, even if some of its folders are left."""


@final
@dataclass(frozen=True, slots=True)
class Links:
    """How a walk treats symbolic links to folders.

    Attributes:
        are_files: they are listed with the files.
        are_walked: they are followed, if they are listed with the folders.
    """

    are_files: bool
    are_walked: bool


@final
@dataclass(frozen=True, slots=True)
class ListedFolder(Generic[AnyStr]):
    """A folder's path and the names in it. The lists may be edited."""

    path: AnyStr
    folders: list[AnyStr]
    files: list[AnyStr]

    def paths(self) -> list[AnyStr]:
        """Return the paths of the subfolders, the last one first: a stack of the remaining ones."""
        return [_join(self.path, name) for name in reversed(self.folders)]


# With `Any`, since pyright finds no overload of `os.path.join` for an AnyStr.
_join: Callable[[Any, Any], Any] = os.path.join

# None stands for a link that is not followed; an error is the reason why a folder was not listed.
Found: TypeAlias = "ListedFolder[AnyStr] | OSError | None"


async def walk_down(
    top: AnyStr, links: Links
) -> AsyncGenerator[ListedFolder[AnyStr] | OSError, None]:
    """Visit each folder before its subfolders: those left in `ListedFolder.folders` by then."""
    ahead = [_Visit(top, await stoppable(_list_folder, top, links), listed=True)]
    while ahead:
        if not ahead[-1].listed:
            await _read_ahead(ahead, links)
        found = ahead.pop().found
        if found is not None:
            yield found
        if isinstance(found, ListedFolder):
            ahead += [_Visit(path) for path in found.paths()]


def walk_up(top: AnyStr, links: Links) -> ThreadedIterator[ListedFolder[AnyStr] | OSError]:
    """Visit each folder after its subfolders."""

    def find(stop: Stop) -> Generator[ListedFolder[AnyStr] | OSError, None, None]:
        rest: list[AnyStr | ListedFolder[AnyStr]] = [top]
        while rest:
            item = rest.pop()
            if isinstance(item, ListedFolder):
                yield item
                continue
            found = _list_folder(stop, item, links)
            if isinstance(found, OSError):
                yield found
                continue
            rest.append(found)
            rest += [path for path in found.paths() if _is_walked(path, links)]

    return ThreadedIterator(find)


@final
@dataclass(slots=True)
class _Visit(Generic[AnyStr]):
    """A folder to be visited, and its content when it was read ahead."""

    path: AnyStr
    found: Found[AnyStr] = None
    listed: bool = False


async def _read_ahead(ahead: list[_Visit[AnyStr]], links: Links) -> None:
    """List the next folder, and in the same call those after it."""
    visits = [visit for visit in reversed(ahead[-BATCH_FOLDERS:]) if not visit.listed]
    found = await stoppable(_list_folders, [visit.path for visit in visits], links)
    for visit, one in zip(visits, found, strict=False):
        visit.found, visit.listed = one, True


def _list_folders(stop: Stop, paths: list[AnyStr], links: Links) -> list[Found[AnyStr]]:
    """List the first folder, and further ones up to the limits of one call."""
    found: list[Found[AnyStr]] = []
    entries = 0
    deadline = time.monotonic() + BATCH_SECONDS
    for path in paths:
        one = _list_folder(stop, path, links) if _is_walked(path, links) else None
        found.append(one)
        entries += 1 + (len(one.folders) + len(one.files) if isinstance(one, ListedFolder) else 0)
        if entries >= BATCH_ENTRIES or time.monotonic() >= deadline:
            break
    return found


def _list_folder(stop: Stop, path: AnyStr, links: Links) -> ListedFolder[AnyStr] | OSError:
    found = ListedFolder(path, list[AnyStr](), list[AnyStr]())
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                stop.check()
                names = found.folders if _is_folder(entry, links) else found.files
                names.append(entry.name)
    except OSError as error:
        return error
    return found


def _is_folder(entry: os.DirEntry[AnyStr], links: Links) -> bool:
    try:
        return entry.is_dir(follow_symlinks=not links.are_files)
    except OSError:
        return False  # as os.path.isdir


def _is_walked(path: AnyStr, links: Links) -> bool:
    return links.are_walked or not os.path.islink(path)
