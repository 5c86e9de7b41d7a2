"""Holding a lease: the context manager that users enter, in a scope or by ``async with``."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from types import TracebackType
from typing import Any, TypeAlias, final

from withal._core.errors import AlreadyEnteredError
from withal._core.managers import Telling
from withal._core.scope import Scope
from withal._core.site import Site
from withal.lease.clock import ClockOf
from withal.lease.errors import LeaseDeadlockError
from withal.lease.protocol import Backend, Owner
from withal.lease.tenure import Lease, Tenure
from withal.lease.terms import Terms

_CLOSE_TIMEOUT = 10.0  # seconds: a release is tried for half of that


@final
class Hold(Telling, AbstractAsyncContextManager[Lease]):
    """A lease about to be acquired; made by ``hold`` of one of the classes of leases.

    It is entered once, by ``async with`` or in a scope.
    """

    __slots__ = ("_backend", "_caller", "_clock_of", "_kept", "_site", "_terms")

    def __init__(
        self, backend: Backend, terms: Terms, site: Site | None, clock_of: ClockOf
    ) -> None:
        self._backend = backend
        self._terms = terms
        self._site = site
        self._clock_of = clock_of
        self._caller: asyncio.Task[Any] | None = None
        self._kept: AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<withal.lease.Hold {self._terms.name!r} ttl={self._terms.ttl:g}>"

    def tell_through_its_holder(self, name: str | None) -> tuple[str, str]:
        """Leave telling to the scope that enters it, and note for which task it does so."""
        self._caller = asyncio.current_task()
        return name or self._terms.name, "lease"

    async def __aenter__(self) -> Lease:
        if self._kept is not None:
            raise AlreadyEnteredError(self._terms.name)
        host = asyncio.current_task()
        assert host is not None  # async with runs in one
        task = self._caller or host
        owner = Owner.here(self._terms.name, task.get_name(), str(self._site))
        tenure = Tenure(self._backend, self._terms, owner, self._clock_of)
        async with AsyncExitStack() as stack:
            self._kept = stack
            stack.enter_context(_asked_by(task, self._backend.server, owner))
            if task is not host:  # a scope has made the host
                lease = await stack.enter_async_context(tenure)
            else:
                scope = Scope(owner.name, close_timeout=_CLOSE_TIMEOUT, open_grace=0.0)
                await stack.enter_async_context(scope)
                lease = await scope.enter(tenure)
            self._kept = stack.pop_all()
        return lease

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._kept is not None
        return await self._kept.__aexit__(exc_type, exc, traceback)


# Which task has asked for which lease of which server, and where; until it is released.
_Asked: TypeAlias = tuple[asyncio.Task[Any], str, str]
_asked: dict[_Asked, Owner] = {}


@contextmanager
def _asked_by(task: asyncio.Task[Any], server: str, owner: Owner) -> Generator[None]:
    """Note in this block that a task has or wants a lease, and that it cannot want it twice."""
    asked = task, server, owner.name
    first = _asked.get(asked)
    if first is not None:
        raise LeaseDeadlockError(owner.name, task.get_name(), first.line)
    _asked[asked] = owner
    try:
        yield
    finally:
        del _asked[asked]
