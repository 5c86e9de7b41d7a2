"""What functions and coroutines are called, and where they are defined."""

from __future__ import annotations

import re
import sys
from functools import partial
from inspect import unwrap
from typing import cast


def qualified_name(made: object) -> str:
    """Return the qualified name of a function or coroutine, or that of the type of anything else.

    A `functools.partial` has the name of what it calls.

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


_NUMBERED = re.compile(r"Task-\d+")


def display_name(name: str, function: str) -> str:
    """Return the name of a task and what it runs; the latter alone, if the name adds nothing.

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
    """Return the file that a function, a coroutine or a class is defined in; nothing if unknown.

    Of any other object it is that of its class.

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
