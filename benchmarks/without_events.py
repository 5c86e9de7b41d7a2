"""A copy of the core without its events, to measure what these cost when nobody observes."""

from __future__ import annotations

import ast
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import withal._core

_NAME = "withal_without_events"


class _RemoveEvents(ast.NodeTransformer):
    """Replace each ``if ...observers`` and ``if self._id``, which send events, by its ``else``."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        self.generic_visit(node)
        names = {each.attr for each in ast.walk(node.test) if isinstance(each, ast.Attribute)}
        return node.orelse or None if names & {"observers", "_id"} else node


def scope_without_events() -> Any:  # a copy of the Scope class, of a type of its own
    """Import the copy, and return its `Scope`."""
    source = Path(withal._core.__file__ or "").parent
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, _NAME, "_core")
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        for module in source.rglob("*.py"):
            text = module.read_text().replace("from withal._core", f"from {_NAME}._core")
            tree = ast.fix_missing_locations(_RemoveEvents().visit(ast.parse(text)))
            copy = package / module.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(ast.unparse(tree))
        sys.path.insert(0, folder)
        try:
            return importlib.import_module(f"{_NAME}._core.scope").Scope
        finally:
            sys.path.remove(folder)
