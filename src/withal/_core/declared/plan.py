"""The order in which declared resources open, as data; nothing is opened here.

A plan is a list in which each resource comes after its dependencies. Each resource starts to open
as soon as all of its dependencies are open; closing runs in the opposite direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from withal._core.declared.declaration import Declaration
from withal._core.errors import DependencyCycleError

Node: TypeAlias = Declaration[object]


@final
@dataclass(frozen=True, slots=True)
class PlannedResource:
    """One resource of a plan.

    Attributes:
        declaration: the declaration, after overrides are applied.
        needs: its dependencies, after overrides are applied, by the parameter that takes each.
        reused: whether it is open already, in the scope or in a parent of it.
    """

    declaration: Node
    needs: dict[str, Node]
    reused: bool

    @property
    def name(self) -> str:
        """The name it was declared with."""
        return self.declaration.name


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """The order in which some resources open. ``str()`` of it draws the tree.

    Attributes:
        wanted: the requested resources, after overrides are applied.
        resources: these and all their dependencies; each comes after what it needs.
    """

    wanted: tuple[Node, ...]
    resources: tuple[PlannedResource, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the resources that would be opened; each comes after what it needs."""
        return tuple(each.name for each in self.resources if not each.reused)

    def __str__(self) -> str:
        planned = {each.declaration: each for each in self.resources}
        shown = set[Node]()
        return "\n".join(line for node in self.wanted for line in _tree(node, planned, shown))


def plan(
    wanted: Sequence[Node],
    *,
    override: Callable[[Node], Node],
    is_open: Callable[[Node], bool],
) -> Plan:
    """Return the plan for opening these.

    Args:
        wanted: the resources to open.
        override: returns the replacement of a declaration, or the declaration itself.
        is_open: returns whether a declaration (after overriding) is open, so that neither it nor
            its dependencies have to be opened.

    Raises:
        DependencyCycleError: if they need each other in a circle.
    """
    roots = tuple(override(node) for node in wanted)
    done: dict[Node, PlannedResource] = {}
    # Depth first, without recursion: a chain may be longer than the recursion limit.
    path: dict[Node, Iterator[Node]] = {}
    found: dict[Node, PlannedResource] = {}

    def enter(node: Node) -> None:
        if node in path:
            circle = [*path, node]
            raise cycle(circle[circle.index(node) :])
        if node not in done:
            reused = is_open(node)
            needs = {} if reused else {key: override(need) for key, need in node.needs.items()}
            found[node] = PlannedResource(node, needs, reused)
            path[node] = iter(needs.values())

    for root in roots:
        enter(root)
        while path:
            node = next(reversed(path))
            following = next(path[node], None)
            if following is not None:
                enter(following)
            else:
                del path[node]
                done[node] = found[node]
    return Plan(roots, tuple(done.values()))


def cycle(circle: Sequence[Node]) -> DependencyCycleError:
    """Return the error for a circle; its first node is repeated as its last."""
    return DependencyCycleError(
        tuple(each.name for each in circle), tuple(each.site for each in circle)
    )


def _tree(node: Node, planned: dict[Node, PlannedResource], shown: set[Node]) -> Iterator[str]:
    each = planned[node]
    again = node in shown and bool(each.needs)
    shown.add(node)
    yield each.name + (" (open)" if each.reused else " (above)" if again else "")
    if again:
        return
    for number, need in enumerate(each.needs.values(), 1):
        last = number == len(each.needs)
        for index, line in enumerate(_tree(need, planned, shown)):
            if index == 0:
                yield ("└─ " if last else "├─ ") + line
            else:
                yield ("   " if last else "│  ") + line
