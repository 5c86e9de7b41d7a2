"""Resources that are held by many: one after the other in a `Pool`, or together.

Only the standard library is needed.
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
