"""Pure paths that create each derived path with `with_segments`, on each Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Self

if sys.platform == "win32":
    from pathlib import PureWindowsPath as PurePathHere
else:
    from pathlib import PurePosixPath as PurePathHere


class SegmentedPath(PurePathHere):
    """A pure path as it is in Python 3.14."""

    __slots__ = ()

    def with_segments(self, *pathsegments: str | os.PathLike[str]) -> Self:
        """Return a path with these parts, of the type of this one.

        All methods that return another path call it. A subclass whose objects have further
        attributes overrides it to pass these on.
        """
        return type(self)(*pathsegments)

    def with_stem(self, stem: str) -> Self:
        """Return a path with another name and the same suffix.

        Raises:
            ValueError: if the stem is invalid, or is empty and there is a suffix.
        """
        suffix = self.suffix
        if suffix and not stem:
            raise ValueError(f"{self!r} has a non-empty suffix")
        return self.with_name(stem + suffix)

    if sys.version_info < (3, 12):

        @property
        def parent(self) -> Self:
            """The folder that it is in."""
            return self.with_segments(super().parent)

        @property
        def parents(self) -> Sequence[Self]:
            """All folders that it is in, the nearest first."""
            return tuple(map(self.with_segments, super().parents))

        def joinpath(self, *other: str | os.PathLike[str]) -> Self:
            """Return the path with these parts added."""
            return self.with_segments(super().joinpath(*other))

        def __truediv__(self, key: Any) -> Self:  # NotImplemented for other types
            made = super().__truediv__(key)
            return made if made is NotImplemented else self.with_segments(made)

        def __rtruediv__(self, key: Any) -> Self:  # likewise
            made = super().__rtruediv__(key)
            return made if made is NotImplemented else self.with_segments(made)

        def with_name(self, name: str) -> Self:
            """Return a path with another name."""
            return self.with_segments(super().with_name(name))

        def with_suffix(self, suffix: str) -> Self:
            """Return a path with another suffix."""
            return self.with_segments(super().with_suffix(suffix))

        def relative_to(self, *other: str | os.PathLike[str]) -> Self:
            """Return the path relative to another one.

            Raises:
                ValueError: if it is not below that path.
            """
            return self.with_segments(super().relative_to(*other))
