"""A ledger: an observer that records the life of each resource."""

from __future__ import annotations

import sys
from collections import deque
from typing import final

from withal._core.events import Event, Step
from withal._core.site import site_of
from withal.ledger.life import Life, Totals
from withal.ledger.records import Record, Summary

DEFAULT_CLOSED_RECORDS = 10_000
"""How many closed records a ledger keeps by default: at about 0.6 KiB each, 6 MiB."""


@final
class Ledger:
    """An observer that keeps a record of each resource: pass it to `observing`.

    It keeps the records of all open resources, and of the newest `keep_closed` resources that have
    closed or failed to open. Older records are dropped, so that the memory of a ledger in a
    long-lived program does not grow. The summary counts all resources, also those whose record was
    dropped.

    Args:
        keep_closed: how many records of closed resources to keep; None keeps all of them.

    Raises:
        ValueError: if `keep_closed` is negative.

    Example:
        >>> import asyncio, contextlib
        >>> from withal import Scope, observing
        >>> from withal.ledger import Ledger
        >>> async def main() -> None:
        ...     async with Scope("app") as scope:
        ...         await scope.enter(contextlib.nullcontext(), name="nothing")
        >>> ledger = Ledger()
        >>> with observing(ledger):
        ...     asyncio.run(main())
        >>> [record.name for record in ledger.records]
        ['app', 'nothing']
        >>> print(ledger.summary())
        2 opened, 2 closed, 0 leaked
    """

    def __init__(self, *, keep_closed: int | None = DEFAULT_CLOSED_RECORDS) -> None:
        if keep_closed is not None and keep_closed < 0:
            raise ValueError(f"keep_closed must be zero or more, or None; got {keep_closed}")
        self._live: dict[int, Life] = {}
        self._ended: deque[Life] = deque(maxlen=keep_closed)  # drops the oldest in constant time
        self._leaked: list[Life] = []  # leaks that a tracker has found; their number is not limited
        self._kinds: dict[str, Totals] = {}
        self.outlet: deque[Life] | None = None  # ended resources, for a tracker to consume

    def __repr__(self) -> str:
        return f"<Ledger: {self.summary()}>"

    def __call__(self, event: Event) -> None:
        """Record an event."""
        if event.step is Step.OPENING:
            # Skip the frames above: this method, emit() and other functions of withal.
            site = site_of(sys._getframe(1))
            stack = () if site is None else ((site.code, site.offset),)
            life = Life(
                event.id, event.name, event.kind, event.scope, event.task, stack, event.time
            )
            self._live[event.id] = life
        elif event.id in self._live:
            self._advance(self._live[event.id], event)

    @property
    def records(self) -> tuple[Record, ...]:
        """The kept records, in order of opening."""
        lives = (*self._ended, *self._leaked, *self._live.values())
        return tuple(life.record() for life in sorted(set(lives), key=lambda life: life.id))

    def open(self) -> tuple[Record, ...]:
        """Return the records of the open resources, in order of opening."""
        return tuple(life.record() for life in list(self._live.values()) if life.is_open)

    def leaked(self) -> tuple[Record, ...]:
        """Return the records of the leaked resources.

        These are: resources that did not end when they were cancelled after their scope's deadline,
        open resources whose scope is closed, and leaks that a tracker has found.
        """
        live = list(self._live.values())
        scopes = {(*life.scope, life.name) for life in live if life.kind == "scope"}
        found = [
            life
            for life in live
            if life.is_open and (life.abandoned or (life.scope and life.scope not in scopes))
        ]
        lives = sorted({*found, *self._leaked}, key=lambda life: life.id)
        return tuple(life.record() for life in lives)

    def summary(self) -> Summary:
        """Return the totals of each kind, including resources whose records were dropped."""
        kinds = tuple(totals.lifetimes(kind) for kind, totals in list(self._kinds.items()))
        return Summary(kinds, len(self.leaked()))

    def begin(self, life: Life) -> None:
        """Record a resource that a tracker has seen opening."""
        self._live[life.id] = life
        totals = self._kinds.get(life.kind) or self.totals(life.kind)
        totals.opened += 1
        totals.open_now += 1
        if totals.open_now > totals.open_at_most:
            totals.open_at_most = totals.open_now

    def end(self, life: Life) -> None:
        """Record that a resource for which `begin` was called has closed."""
        closed_at = life.closed_at
        if self._live.pop(life.id, None) is None or closed_at is None:
            return
        opened_at = life.opened_at
        totals = self._kinds.get(life.kind) or self.totals(life.kind)
        totals.add_closed(0.0 if opened_at is None else closed_at - opened_at)
        self._ended.append(life)
        if self.outlet is not None:
            self.outlet.append(life)

    def forget(self, life: Life) -> None:
        """Undo `begin`."""
        if self._live.pop(life.id, None) is not None:
            totals = self.totals(life.kind)
            totals.opened -= 1
            totals.open_now -= 1

    def leak(self, life: Life) -> None:
        """Record a leak."""
        self._leaked.append(life)

    def keep(self, life: Life) -> None:
        """Keep the record of a closed resource that is counted already."""
        self._ended.append(life)
        if self.outlet is not None:
            self.outlet.append(life)

    def totals(self, kind: str) -> Totals:
        """Return the mutable totals of a kind."""
        totals = self._kinds.get(kind)
        if totals is None:
            totals = self._kinds[kind] = Totals()
        return totals

    def _advance(self, life: Life, event: Event) -> None:
        if event.step is Step.OPENED:
            life.opened_at = event.time
            life.task = event.task
            self.totals(life.kind).add_opened()
        elif event.step is Step.CLOSING:
            life.closing_at = event.time
        elif event.step is Step.ABANDONED:
            life.abandoned = True
        elif event.step is Step.CLOSED:
            life.closed_at = event.time
            life.outcome = event.outcome
            life.abandoned = False
            self.end(life)
        elif event.step is Step.FAILED:
            life.outcome = event.outcome
            del self._live[life.id]
            self._ended.append(life)
            self.totals(life.kind).failed += 1
