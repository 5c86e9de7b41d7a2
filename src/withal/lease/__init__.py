"""Leases: a resource that only one of many processes or machines may use at a time.

A lease is held until it is released, or until it could not be renewed in time. All backends
(PostgreSQL, Redis, a folder of one machine) follow the same rules; docs/leases.md explains them.
"""

from __future__ import annotations

from withal.lease.errors import (
    LeaseDeadlockError,
    LeaseLostError,
    LeaseServerError,
    LeaseTimeoutError,
)
from withal.lease.files import FileLeases
from withal.lease.hold import Hold
from withal.lease.postgres import PostgresLeases
from withal.lease.protocol import Holder
from withal.lease.redis import RedisLeases
from withal.lease.tenure import Lease

__all__ = [
    "FileLeases",
    "Hold",
    "Holder",
    "Lease",
    "LeaseDeadlockError",
    "LeaseLostError",
    "LeaseServerError",
    "LeaseTimeoutError",
    "PostgresLeases",
    "RedisLeases",
]
