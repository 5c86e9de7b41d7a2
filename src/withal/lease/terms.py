"""The arguments of `hold`, checked when it is called."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard, cast, final

from withal.lease.claim import MIN_TTL_SECONDS


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """The arguments of `hold`.

    Attributes:
        name: the name of the lease.
        ttl: seconds that it lasts.
        timeout: seconds to wait for it, possibly infinite.

    Raises:
        ValueError: if a value is out of range.
        TypeError: if the name is not a str.
    """

    name: str
    ttl: float
    timeout: float

    def __post_init__(self) -> None:
        name, ttl, timeout = cast("tuple[object, ...]", (self.name, self.ttl, self.timeout))
        if not isinstance(name, str):
            raise TypeError(f"the name of a lease must be a str, got {name!r}")
        if not name:
            raise ValueError("the name of a lease is empty; pass a name that all its users share")
        if not _is_number(ttl) or not MIN_TTL_SECONDS <= ttl < math.inf:
            raise ValueError(
                f"lease {name!r}: ttl must be {MIN_TTL_SECONDS:g} s or more; got {ttl!r}"
            )
        if not _is_number(timeout) or not timeout >= 0:
            raise ValueError(
                f"lease {name!r}: timeout must be zero or more seconds, or None; got {timeout!r}"
            )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
