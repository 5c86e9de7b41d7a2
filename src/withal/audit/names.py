"""The names of functions and coroutines, and the files that define them."""

from __future__ import annotations

import re
import sys
from functools import partial
from inspect import unwrap
from typing import cast


def qualified_name(made: object) -> str:
    """Return the qualified name of a function or coroutine, or of the type of any other object.

    For a `functools.partial`, the name of its function is returned.

    Example:
        >>> def outer():
        ...     async def inner(): ...
        ...     return inner
        >>> qualified_name(outer()), qualified_name(3)
        ('outer.inner', 'int')
    """
    while isinstance(made, partial):
        made = cast("partial[object]", made).func
    name: str = getattr(made, "__qualname__", type(made).__qualname__)
    return name.replace("<locals>.", "")


# CPython 3.13.0 names a task "None" that is made by a task factory without a name.
_NUMBERED = re.compile(r"Task-\d+|None")


def display_name(name: str, function: str) -> str:
    """Return the name of a task and its function; only the function, if the name adds nothing.

    Example:
        >>> display_name("reader", "Pool.read")
        'reader (Pool.read)'
        >>> display_name("Task-12", "Pool.read"), display_name("", "Pool.read")
        ('Pool.read', 'Pool.read')
    """
    if not name or _NUMBERED.fullmatch(name) or name.endswith(function):
        return function
    return f"{name} ({function})"


def file_of(made: object) -> str:
    """Return the file that defines a function, a coroutine or a class; empty if it is not known.

    For any other object, the file of its class is returned.

    Example:
        >>> import asyncio
        >>> file_of(asyncio.sleep) == asyncio.tasks.__file__
        True
    """
    while isinstance(made, partial):
        made = cast("partial[object]", made).func
    if callable(made):
        made = unwrap(made)
    made = getattr(made, "__func__", made)
    for name in "__code__", "cr_code", "gi_code", "ag_code":
        code = getattr(made, name, None)
        if code is not None:
            return str(code.co_filename)
    kind = made if isinstance(made, type) else type(made)
    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
