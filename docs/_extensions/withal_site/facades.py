"""The reference: everything that a facade exports, by sort, from the docstrings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


@dataclass(frozen=True)
class Group:
    """Public names of one sort, and the directive that documents each of them."""

    title: str
    directive: str
    names: tuple[str, ...]


def groups(facade: str) -> Iterator[Group]:
    """Yield what a facade exports, functions first."""
    module = importlib.import_module(facade)
    exported: dict[str, object] = {name: getattr(module, name) for name in module.__all__}
    sorts = {name: _sort(thing) for name, thing in exported.items()}
    for title, directive in _DIRECTIVES.items():
        names = tuple(name for name, sort in sorts.items() if sort == title)
        if names:
            yield Group(title, directive, names)


_DIRECTIVES = {
    "Functions": "autofunction",
    "Classes": "autoclass",
    "Objects": "autodata",
    "Errors": "autoexception",
    "Modules": "automodule",
}


def _sort(thing: object) -> str:
    if isinstance(thing, ModuleType):
        return "Modules"
    if inspect.isclass(thing):
        return "Errors" if issubclass(thing, BaseException) else "Classes"
    return "Functions" if inspect.isroutine(thing) else "Objects"


def without_that_of_enum(
    app: object, kind: str, name: str, thing: Any, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Have autodoc show no signature of an enum: nobody calls it."""
    return ("", "") if inspect.isclass(thing) and issubclass(thing, Enum) else None


class FacadeDirective(SphinxDirective):
    """``.. facade:: withal.files``: its docstring, and all that it exports."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a section for each group, made by autodoc."""
        facade = self.arguments[0]
        head = f".. automodule:: {facade}\n   :no-members:\n"
        parts = self.parse_text_to_nodes(head)
        for group in groups(facade):
            anchor = f"{facade}-{group.title}".lower().replace(".", "-")
            section = nodes.section("", nodes.title("", group.title), ids=[anchor])
            section += self.parse_text_to_nodes("\n".join(_lines(facade, group)))
            parts.append(section)
        return parts


def _lines(facade: str, group: Group) -> Iterator[str]:
    yield from (f".. currentmodule:: {facade}", "", ".. autosummary::", "   :nosignatures:", "")
    yield from (f"   {name}" for name in group.names)
    module = importlib.import_module(facade)
    for name in group.names:
        target = f"{facade}.{name}" if group.directive == "automodule" else name
        yield from ("", f".. {group.directive}:: {target}", _OPTIONS.get(group.directive, ""))
        thing = getattr(module, name)
        if inspect.isclass(thing) and issubclass(thing, Enum):
            yield "   :undoc-members:"


_OPTIONS = {
    "autoclass": "   :members:",
    "automodule": "   :members:",
    "autodata": "   :no-value:",
}
