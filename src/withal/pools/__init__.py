"""Resources that are held by many: one after the other in a pool.

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
from withal.pools.pool import Pool
from withal.pools.statistics import ClosedCounts, Holder, PoolStatistics

__all__ = [
    "ClosedCounts",
    "HeldTooLongWarning",
    "Holder",
    "NotHeldError",
    "Pool",
    "PoolCloseTimeoutError",
    "PoolClosedError",
    "PoolDeadlockError",
    "PoolFullError",
    "PoolStatistics",
    "PoolTimeoutError",
]
