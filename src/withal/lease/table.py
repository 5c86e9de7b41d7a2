"""One lease on the server's side: a pure function for each step.

`FileLeases` runs these under a file lock. Redis and PostgreSQL run the same steps in their own
languages. Times are seconds of the server's clock.

Waiters have places in order. When the lease becomes free, the first may take it immediately, the
second half a second later, and so on. So a waiter that has died or is stopped does not block the
others. A place lasts some seconds; a waiter repeats its request to keep it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from withal.lease.protocol import Granted, LeaseRequest, Refused

PLACE_SECONDS = 5.0
"""Seconds that a place among the waiters lasts when the request is not repeated."""

REFRESH_SECONDS = 1.5
"""Seconds after which a waiter repeats its request, to keep its place."""

TURN_SECONDS = 0.5
"""Seconds that each waiter has to take a free lease before the next one may."""


@final
@dataclass(frozen=True, slots=True)
class QueuePlace:
    """A place among the waiters.

    Attributes:
        id: the id of the claim.
        until: when it is dropped, unless the request is repeated.
    """

    id: str
    until: float


@final
@dataclass(frozen=True, slots=True)
class Row:
    """The stored data of one lease.

    Attributes:
        token: the last fencing token.
        id: the id of the claim that has or had the lease.
        since: when it was granted.
        until: when it expires; if that is in the past, the lease is free.
        owner: the holder, as JSON.
        places: the waiters, in order.
    """

    token: int = 0
    id: str = ""
    since: float = 0.0
    until: float = 0.0
    owner: str = ""
    places: tuple[QueuePlace, ...] = ()


def ask(row: Row, request: LeaseRequest, now: float, floor: int) -> tuple[Row, Granted | Refused]:
    """Grant the lease if it is free and the claim's turn, or keep a place for it.

    Args:
        row: the stored data.
        request: the request.
        now: the server's time.
        floor: the minimum of a new token.
    """
    if row.id == request.id and now < row.until:  # repeated, because the answer was lost
        return replace(row, until=now + request.ttl), Granted(row.token)
    places = tuple(each for each in row.places if each.until > now)
    ids = [each.id for each in places]
    ahead = ids.index(request.id) if request.id in ids else len(ids)
    turn = row.until + ahead * TURN_SECONDS
    if now >= turn:
        token = max(row.token + 1, floor)
        others = tuple(each for each in places if each.id != request.id)
        until = now + request.ttl
        return Row(token, request.id, now, until, request.owner, others), Granted(token)
    if request.queues:
        mine = QueuePlace(request.id, now + PLACE_SECONDS)
        places = (*places[:ahead], mine, *places[ahead + 1 :])
    owner = row.owner if now < row.until else ""
    return replace(row, places=places), Refused(min(turn - now, REFRESH_SECONDS), ahead, owner)


def renew(row: Row, request: LeaseRequest, token: int, now: float) -> Row | None:
    """Renew the lease; None if the claim does not have it any more."""
    if row.id != request.id or row.token != token or now >= row.until:
        return None
    return replace(row, until=now + request.ttl)


def withdraw(row: Row, request: LeaseRequest, now: float) -> Row:
    """Free the lease if the claim has it, and drop its place if it waits."""
    places = tuple(each for each in row.places if each.id != request.id)
    if row.id == request.id and now < row.until:
        return replace(row, id="", until=now, owner="", places=places)
    return replace(row, places=places)


def next_to_wake(row: Row, now: float) -> str:
    """Return the id of the claim that may take the lease now; empty if there is none."""
    if now < row.until:
        return ""
    return next((each.id for each in row.places if each.until > now), "")
