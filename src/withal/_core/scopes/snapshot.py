"""Snapshots of a scope's resources at one moment, as frozen data; ``str()`` draws a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import final


@final
@dataclass(frozen=True, slots=True)
class ResourceSnapshot:
    """One resource at the time of the snapshot.

    Attributes:
        name: the name it was given, or its kind.
        kind: its manager's type or function, ``"task"`` or ``"callback"``.
        phase: ``"opening"``, ``"open"`` or ``"closing"``.
        opening_at: when it began to open, in seconds of the loop's clock.
        opened_at: when it finished opening, or None if it has not.
        needs: the names of its declared dependencies.
    """

    name: str
    kind: str
    phase: str
    opening_at: float
    opened_at: float | None
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.name if self.name == self.kind else f"{self.name} ({self.kind})"
        if self.opened_at is None:
            return f"{text}: {self.phase}"
        return f"{text}: {self.phase}, opened in {self.opened_at - self.opening_at:.3f} s"


@final
@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The chain of needs that took longest to open. ``str()``: ``"0.82 s: settings > database"``.

    Attributes:
        seconds: from the beginning of its first opening to the end of its last.
        names: the resources, each needed by the next.
    """

    seconds: float
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s: {' > '.join(self.names)}"


@final
@dataclass(frozen=True, slots=True)
class ScopeSnapshot:
    """A scope, its resources in order of opening, and the scopes that have it as their parent.

    ``str()`` of it draws the tree.

    Attributes:
        name: the scope's name.
        state: ``"new"``, ``"open"``, ``"closing"`` or ``"closed"``.
        resources: its resources.
        children: the scopes within it.
    """

    name: str
    state: str
    resources: tuple[ResourceSnapshot, ...]
    children: tuple[ScopeSnapshot, ...]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    @property
    def critical_path(self) -> CriticalPath | None:
        """The declared resources that determined how long opening took; None if there are none.

        The path ends with the resource that finished opening last. The one before each is the
        dependency that it waited for: of its needs, the one that finished last.
        """
        opened = {each.name: (each.opened_at, each) for each in self.resources if each.opened_at}
        needed = {need for each in self.resources for need in each.needs}
        declared = [pair for name, pair in opened.items() if pair[1].needs or name in needed]
        path: list[ResourceSnapshot] = []
        while declared:
            _, last = max(declared, key=itemgetter(0))
            path.insert(0, last)
            declared = [opened[need] for need in last.needs if need in opened]
        if not path:
            return None
        seconds = (path[-1].opened_at or 0.0) - path[0].opening_at
        return CriticalPath(seconds, tuple(each.name for each in path))

    def _lines(self) -> Iterator[str]:
        # Without recursion: scopes may nest deeper than the recursion limit.
        todo: list[tuple[str, str, ScopeSnapshot | str]] = [("", "", self)]
        while todo:
            first, rest, each = todo.pop()
            if isinstance(each, str):
                yield first + each
                continue
            yield f"{first}{each.name}: {each.state}"
            parts: list[ScopeSnapshot | str] = [*map(str, each.resources), *each.children]
            below: list[tuple[str, str, ScopeSnapshot | str]]
            below = [(f"{rest}├─ ", f"{rest}│  ", part) for part in parts[:-1]]
            below += [(f"{rest}└─ ", f"{rest}   ", part) for part in parts[-1:]]
            todo += reversed(below)
