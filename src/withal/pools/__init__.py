"""Resources with many users: one user at a time (`Pool`), or several at once (`Shared` and others).

This package needs only the standard library.
"""

from withal.pools.errors import (
    HeldTooLongWarning,
    NotHeldError,
    PoolClosedError,
    PoolCloseTimeoutError,
    PoolDeadlockError,
    PoolFullError,
    PoolTimeoutError,
)
from withal.pools.keyed import Keyed
from withal.pools.pool import Pool
from withal.pools.reloadable import Reloadable
from withal.pools.shared import Shared
from withal.pools.statistics import ClosedCounts, Holder, PoolStatistics

__all__ = [
    "ClosedCounts",
    "HeldTooLongWarning",
    "Holder",
    "Keyed",
    "NotHeldError",
    "Pool",
    "PoolCloseTimeoutError",
    "PoolClosedError",
    "PoolDeadlockError",
    "PoolFullError",
    "PoolStatistics",
    "PoolTimeoutError",
    "Reloadable",
    "Shared",
]
