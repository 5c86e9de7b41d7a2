"""What a scope holds at one moment, as frozen data, and as a tree to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class ResourceSnapshot:
    """One resource, as it was.

    Attributes:
        name: the name it was given, or its kind.
        kind: its manager's type or function, ``"task"`` or ``"callback"``.
        phase: ``"opening"``, ``"open"`` or ``"closing"``.
        opening_at: when it began to open, in seconds of the loop's clock.
        opened_at: when it had opened, or None if it has not.
    """

    name: str
    kind: str
    phase: str
    opening_at: float
    opened_at: float | None

    def __str__(self) -> str:
        text = self.name if self.name == self.kind else f"{self.name} ({self.kind})"
        if self.opened_at is None:
            return f"{text}: {self.phase}"
        return f"{text}: {self.phase}, opened in {self.opened_at - self.opening_at:.3f} s"


@final
@dataclass(frozen=True, slots=True)
class ScopeSnapshot:
    """A scope, what it holds in order of opening, and the scopes that have it as their parent.

    ``str()`` of it draws the tree.

    Attributes:
        name: the scope's name.
        state: ``"new"``, ``"open"``, ``"closing"`` or ``"closed"``.
        resources: what it holds.
        children: the scopes within it.
    """

    name: str
    state: str
    resources: tuple[ResourceSnapshot, ...]
    children: tuple[ScopeSnapshot, ...]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.name}: {self.state}"
        parts = [[str(resource)] for resource in self.resources]
        parts += [list(child._lines()) for child in self.children]
        for number, lines in enumerate(parts, 1):
            first, rest = ("└─ ", "   ") if number == len(parts) else ("├─ ", "│  ")
            for index, line in enumerate(lines):
                yield (rest if index else first) + line
