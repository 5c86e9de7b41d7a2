"""Facades whose names are imported when they are first used.

To import a package takes as long as to import all that it exports, and a program uses a few of
these. So a facade lists where each name is from, and type checkers see plain imports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias

Get: TypeAlias = Callable[[str], Any]  # of what type a name is, type checkers see elsewhere
List: TypeAlias = Callable[[], list[str]]


def deferred(facade: str, homes: Mapping[str, str]) -> tuple[Get, List]:
    """Return the ``__getattr__`` and the ``__dir__`` of a module.

    Args:
        facade: the module's name.
        homes: for each name that is imported when it is used, the module that has it; its own name
            if it is a module itself.

    Example:
        >>> get, _ = deferred("json", {"scanner": "json.scanner", "JSONDecoder": "json.decoder"})
        >>> get("JSONDecoder").__name__, get("scanner").__name__
        ('JSONDecoder', 'json.scanner')
    """

    def get(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {facade!r} has no attribute {name!r}")
        module = import_module(home)
        value = module if home == f"{facade}.{name}" else getattr(module, name)
        setattr(sys.modules[facade], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[facade]), *homes})

    return get, names
