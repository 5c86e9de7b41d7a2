"""What functions and coroutines are called."""

from __future__ import annotations

from functools import partial
from typing import cast


def name_of(made: object) -> str:
    """Return the qualified name of a function or coroutine, or that of the type of anything else.

    A `functools.partial` has the name of what it calls.

    Example:
        >>> def outer():
        ...     async def inner(): ...
        ...     return inner
        >>> name_of(outer()), name_of(3)
        ('outer.inner', 'int')
    """
    while isinstance(made, partial):
        made = cast("partial[object]", made).func
    name: str = getattr(made, "__qualname__", type(made).__qualname__)
    return name.replace("<locals>.", "")
