"""What a pool is asked to be, checked when it is made."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncContextDecorator, ContextDecorator
from dataclasses import dataclass
from typing import Any, final

from withal._core.credentials import text_without_credentials

Asked = Callable[[Any], Awaitable[object] | object]
"""A `check` or a `reset`: of a user's own type, which the signature of `Pool` knows."""


@final
@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `Pool`, which documents them.

    Raises:
        TypeError: one is of the wrong type.
        ValueError: one is out of its range.
    """

    name: str
    size: int
    warm: int = 0
    max_waiting: int | None = None
    acquire_timeout: float | None = None
    idle_timeout: float | None = 600.0
    max_age: float | None = None
    check: Asked | None = None
    check_after: float | None = None
    reset: Asked | None = None
    held_too_long: float | None = None
    close_timeout: float = 10.0

    def __post_init__(self) -> None:
        self._check_numbers()
        for name in ("acquire_timeout", "idle_timeout", "max_age", "check_after", "held_too_long"):
            check_seconds(f"pool {self.name!r}: {name}", getattr(self, name))
        check_seconds(f"pool {self.name!r}: close_timeout", self.close_timeout, optional=False)
        for name in ("max_age", "held_too_long"):
            if getattr(self, name) == 0:
                raise ValueError(f"pool {self.name!r}: {name} is more than zero, or None for none")
        for name in ("check", "reset"):
            check_call(f"pool {self.name!r}: {name}", getattr(self, name))
        if self.check_after is not None and self.check is None:
            raise ValueError(f"pool {self.name!r}: check_after is given without a check")

    def _check_numbers(self) -> None:
        for name in ("size", "warm", "max_waiting"):
            number: object = getattr(self, name)
            if number is None and name == "max_waiting":
                continue
            if not isinstance(number, int) or isinstance(number, bool):
                raise TypeError(f"pool {self.name!r}: {name} is a whole number, got {number!r}")
        if self.size < 1:
            raise ValueError(f"pool {self.name!r}: size is one or more, got {self.size}")
        if not 0 <= self.warm <= self.size:
            raise ValueError(
                f"pool {self.name!r}: warm is from 0 to the size, {self.size}, got {self.warm}"
            )
        if self.max_waiting is not None and self.max_waiting < 0:
            raise ValueError(
                f"pool {self.name!r}: max_waiting is zero or more, or None for no limit; "
                f"got {self.max_waiting}"
            )


def checked_name(name: object) -> str:
    """Return a name as it may be shown, without credentials.

    Raises:
        TypeError: it is not text.
    """
    if not isinstance(name, str):
        raise TypeError(f"name is a str or None, got {name!r}")
    return text_without_credentials(name)


def check_seconds(what: str, seconds: object, *, optional: bool = True) -> None:
    """Check that these are seconds, or None where that means without end.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, or not a number.
    """
    if seconds is None and optional:
        return
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"{what} is in seconds, got {seconds!r}")
    if math.isnan(seconds) or seconds < 0:
        raise ValueError(f"{what} is in seconds, zero or more; got {seconds!r}")


def check_call(what: str, call: object) -> None:
    """Check that this can be called with the resource, or is None.

    Raises:
        TypeError: it cannot; most often it has been called already.
    """
    if call is None or callable(call):
        return
    if inspect.iscoroutine(call):
        call.close()  # it is never awaited; the error says why
    raise TypeError(f"{what} is a function that is called with the resource, got {call!r}")


def check_open(what: str, call: object) -> None:
    """Check that this can be called to make a context manager.

    Raises:
        TypeError: it cannot; most often it has been called already.
    """
    # What contextlib makes of a generator can be called, as a decorator.
    if callable(call) and not isinstance(call, ContextDecorator | AsyncContextDecorator):
        return
    if inspect.iscoroutine(call):
        call.close()
    hint = ""
    if hasattr(call, "__aenter__") or hasattr(call, "__enter__"):
        hint = "; do not call it: each resource needs a context manager of its own"
    raise TypeError(f"{what} is a function that returns a context manager, got {call!r}{hint}")
