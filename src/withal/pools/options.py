"""The options of a pool, checked when it is created."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncContextDecorator, ContextDecorator
from dataclasses import dataclass
from typing import final

from withal._core.credentials import text_without_credentials

ResourceCall = Callable[[object], Awaitable[object] | object]
"""A `check` or a `reset`; the signature of `Pool` has the type of its argument."""


@final
@dataclass(frozen=True, slots=True)
class PoolOptions:
    """The arguments of `Pool`, which documents them.

    Raises:
        TypeError: if one has the wrong type.
        ValueError: if one is out of range.
    """

    name: str
    size: int
    warm: int = 0
    max_waiting: int | None = None
    acquire_timeout: float | None = None
    idle_timeout: float | None = 600.0
    max_age: float | None = None
    check: ResourceCall | None = None
    check_after: float | None = None
    reset: ResourceCall | None = None
    held_too_long: float | None = None
    close_timeout: float = 10.0

    def __post_init__(self) -> None:
        self._check_numbers()
        for name in ("acquire_timeout", "idle_timeout", "max_age", "check_after", "held_too_long"):
            check_seconds(f"pool {self.name!r}: {name}", getattr(self, name))
        check_seconds(f"pool {self.name!r}: close_timeout", self.close_timeout, optional=False)
        for name in ("max_age", "held_too_long"):
            if getattr(self, name) == 0:
                raise ValueError(
                    f"pool {self.name!r}: {name} must be more than zero; pass None for no limit"
                )
        for name in ("check", "reset"):
            check_call(f"pool {self.name!r}: {name}", getattr(self, name))
        if self.check_after is not None and self.check is None:
            raise ValueError(f"pool {self.name!r}: check_after needs a check; pass check= too")

    def _check_numbers(self) -> None:
        for name in ("size", "warm", "max_waiting"):
            number: object = getattr(self, name)
            if number is None and name == "max_waiting":
                continue
            if not isinstance(number, int) or isinstance(number, bool):
                raise TypeError(f"pool {self.name!r}: {name} must be an int, got {number!r}")
        if self.size < 1:
            raise ValueError(f"pool {self.name!r}: size must be one or more, got {self.size}")
        if not 0 <= self.warm <= self.size:
            raise ValueError(
                f"pool {self.name!r}: warm must be from 0 to size ({self.size}), got {self.warm}"
            )
        if self.max_waiting is not None and self.max_waiting < 0:
            raise ValueError(
                f"pool {self.name!r}: max_waiting must be zero or more, or None for no limit; "
                f"got {self.max_waiting}"
            )


def checked_name(name: object) -> str:
    """Return a name without credentials.

    Raises:
        TypeError: if it is not a str.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str or None, got {name!r}")
    return text_without_credentials(name)


def check_seconds(what: str, seconds: object, *, optional: bool = True) -> None:
    """Check that this is a number of seconds, or None if that is allowed.

    Raises:
        TypeError: if it is neither a number nor None.
        ValueError: if it is negative or NaN.
    """
    if seconds is None and optional:
        return
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"{what} must be a number of seconds, got {seconds!r}")
    if math.isnan(seconds) or seconds < 0:
        raise ValueError(f"{what} must be zero or more seconds; got {seconds!r}")


def check_call(what: str, call: object) -> None:
    """Check that this can be called with the resource, or is None.

    Raises:
        TypeError: if it cannot; most often because it has been called already.
    """
    if call is None or callable(call):
        return
    if inspect.iscoroutine(call):
        call.close()  # so that the interpreter does not warn that it was never awaited
    raise TypeError(f"{what} must be a function that takes the resource, got {call!r}")


def check_open(what: str, call: object) -> None:
    """Check that this can be called to make a context manager.

    Raises:
        TypeError: if it cannot; most often because it has been called already.
    """
    # The managers that contextlib makes of generators are callable too: as decorators.
    if callable(call) and not isinstance(call, ContextDecorator | AsyncContextDecorator):
        return
    if inspect.iscoroutine(call):
        call.close()
    hint = ""
    if hasattr(call, "__aenter__") or hasattr(call, "__enter__"):
        hint = "; pass the function without calling it: each resource needs its own manager"
    raise TypeError(f"{what} must be a function that returns a context manager, got {call!r}{hint}")
