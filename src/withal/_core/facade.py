"""Facades whose names are imported when they are first used: https://peps.python.org/pep-0562/.

Importing everything that a package exports takes time, and a program uses only a few of the names.
So a facade lists the module of each name; type checkers see plain imports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

Get: TypeAlias = Callable[[str], Any]  # type checkers read the types from the plain imports
List: TypeAlias = Callable[[], list[str]]


def deferred(facade: str, homes: Mapping[str, str]) -> tuple[Get, List]:
    """Return the ``__getattr__`` and the ``__dir__`` of a module.

    Args:
        facade: the module's name.
        homes: for each name, the module to import it from; for a submodule, its full name.

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


def require_installed(facade: str, package: str, *, extra: str) -> None:
    """Check that a package is installed which a facade needs for what it defers.

    Raises:
        ImportError: if it is not installed. The message names the extra to install.

    Example:
        >>> require_installed("json", "nothing", extra="more")
        Traceback (most recent call last):
        ImportError: json needs nothing, which is not installed: pip install "withal[more]"
    """
    if find_spec(package) is None:
        raise ImportError(
            f'{facade} needs {package}, which is not installed: pip install "withal[{extra}]"',
            name=package,
        )
