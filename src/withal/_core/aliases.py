"""Type aliases that contain `Any`, each with the reason.

Elsewhere `object` or a type variable is used where possible.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Coro: TypeAlias = Coroutine[Any, Any, T]
"""A coroutine that returns `T`. What it yields, and what is sent to it, concerns only the loop."""

Waiting: TypeAlias = Generator[Any, None, None]
"""The wait of a generator that is used as a coroutine. What it yields concerns only the loop."""

AnyFunction: TypeAlias = Callable[..., Any]
"""A function of the user or of a library, whose parameters and result are not known here."""

JsonObject: TypeAlias = dict[str, Any]
"""An object of JSON: the type of each value follows from its key."""
