"""Holding a lease: the context manager that users enter, in a scope or with ``async with``."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from types import TracebackType
from typing import TypeAlias, final

from withal._core.errors import AlreadyEnteredError
from withal._core.managers import EmitsEvents
from withal._core.scope import Scope
from withal._core.site import Site
from withal.lease.clock import ClockOf
from withal.lease.errors import LeaseDeadlockError
from withal.lease.protocol import Backend, LeaseOwner
from withal.lease.tenure import Lease, Tenure
from withal.lease.terms import Terms

_CLOSE_SECONDS = 10.0  # seconds; a release is retried for half of that


@final
class Hold(EmitsEvents, AbstractAsyncContextManager[Lease]):
    """The context manager for one lease, which the ``hold`` methods return.

    It can be entered once, with ``async with`` or in a scope.
    """

    __slots__ = ("_asking", "_backend", "_caller", "_clock_of", "_entered", "_site", "_terms")

    def __init__(
        self, backend: Backend, terms: Terms, site: Site | None, clock_of: ClockOf
    ) -> None:
        self._backend = backend
        self._terms = terms
        self._site = site
        self._clock_of = clock_of
        self._caller: asyncio.Task[object] | None = None
        self._asking: _Asking | None = None
        self._entered: Tenure | Scope | None = None

    def __repr__(self) -> str:
        return f"<withal.lease.Hold {self._terms.name!r} ttl={self._terms.ttl:g}>"

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Let the scope that enters this send its events, and record the task that does so."""
        self._caller = asyncio.current_task()
        return name or self._terms.name, "lease"

    async def __aenter__(self) -> Lease:
        if self._asking is not None:
            raise AlreadyEnteredError(self._terms.name)
        host = asyncio.current_task()
        assert host is not None  # async with runs in a task
        task = self._caller or host
        owner = LeaseOwner.here(self._terms.name, task.get_name(), _line_of(self._site))
        tenure = Tenure(self._backend, self._terms, owner, self._clock_of)
        self._asking = asking = _Asking(task, self._backend.server, owner)
        asking.begin()
        try:
            if task is not host:  # a scope has created the host
                self._entered = tenure
                return await tenure.__aenter__()
            self._entered = Scope(owner.name, close_timeout=_CLOSE_SECONDS, open_grace=0.0)
            return await self._enter_in(self._entered, tenure)
        except BaseException:
            asking.end()
            raise

    async def _enter_in(self, scope: Scope, tenure: Tenure) -> Lease:
        await scope.__aenter__()
        try:
            return await scope.enter(tenure)
        except BaseException as error:
            await scope.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._asking is not None
        assert self._entered is not None
        try:
            return await self._entered.__aexit__(exc_type, exc, traceback)
        finally:
            self._asking.end()


# The requests of tasks that hold or wait for a lease: task, server and name, with the owner.
_Asked: TypeAlias = tuple[asyncio.Task[object], str, str]
_asked: dict[_Asked, LeaseOwner] = {}


@final
class _Asking:
    """Records that a task holds or waits for a lease, to detect a second request."""

    __slots__ = ("_asked", "_owner", "_task")

    def __init__(self, task: asyncio.Task[object], server: str, owner: LeaseOwner) -> None:
        self._task = task
        self._asked = task, server, owner.name
        self._owner = owner

    def begin(self) -> None:
        """Add the record.

        Raises:
            LeaseDeadlockError: if the task holds or waits for the same lease already.
        """
        first = _asked.setdefault(self._asked, self._owner)
        if first is not self._owner:
            raise LeaseDeadlockError(first.name, self._task.get_name(), first.line)

    def end(self) -> None:
        """Remove the record."""
        del _asked[self._asked]


@lru_cache(maxsize=256)
def _line_of(site: Site | None) -> str:
    """Return the file and line of a site; cached, as computing it takes longer than a request."""
    return str(site)
