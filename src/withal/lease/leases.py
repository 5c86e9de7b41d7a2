"""What the leases of every server have in common: to hold one, and to see who does."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from withal._core.errors import AlreadyEnteredError
from withal._core.scope import Scope
from withal._core.site import site_of
from withal.lease.clock import ClockOf, LoopClock
from withal.lease.errors import LeaseServerError
from withal.lease.hold import Hold
from withal.lease.protocol import Backend, Holder, Unreachable
from withal.lease.terms import Terms

if TYPE_CHECKING:
    from typing import Self


class Leases:
    """The leases of one server. Subclasses say which server that is."""

    def __init__(self, backend: Backend, clock_of: ClockOf = LoopClock) -> None:
        self._backend = backend
        self._clock_of = clock_of
        self._kept: AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<withal.lease.{type(self).__name__} {self._backend.server}>"

    async def __aenter__(self) -> Self:
        """Keep connections open in this block, between one lease and the next."""
        if self._kept is not None:
            raise AlreadyEnteredError(repr(self))
        async with AsyncExitStack() as stack:
            self._kept = stack
            scope = await stack.enter_async_context(self._scope())
            await scope.enter(self._backend.connected(), name="connections")
            self._kept = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        kept, self._kept = self._kept, None
        assert kept is not None
        return await kept.__aexit__(exc_type, exc, traceback)

    def _scope(self) -> Scope:
        """Return a scope for connections: they close although the caller is cancelled meanwhile."""
        return Scope(type(self).__name__, open_grace=0.0)

    def hold(self, name: str, *, ttl: float = 30.0, timeout: float | None = None) -> Hold:
        """Hold a lease while the block runs: ``async with leases.hold("nightly") as lease``.

        At most one claim has the lease of a name at a time, among all that use the same server. It
        is renewed each third of its `ttl`. If that fails for too long, the body is cancelled, by a
        clock of this process that never jumps, before another can have the lease, and
        `LeaseLostError` is raised when the body has left. What is left then to leave is a tenth of
        the `ttl`, 0.2 s at least and 5 s at most. A process that was stopped, or blocked its event
        loop, for longer finds out at its next await that waits: what it does before that may
        overlap with the next holder, and is what the fencing token `Lease.token` is for.

        Those who wait get it in the order of asking, as far as they are alive: one that does not
        take its turn within half a second is passed over.

        A cancelled wait holds nothing. A cancelled body releases the lease. A release that cannot
        reach the server is tried for 5 s, and within the deadline of the scope; then it is an
        error, and the lease expires by itself.

        Args:
            name: any text but an empty one.
            ttl: seconds that the lease lasts when it is not renewed, 1 or more: so long nobody has
                it after its holder has died. All users of a name should give the same.
            timeout: seconds to wait for the lease; 0 tries once, None waits without end.

        Raises:
            LeaseTimeoutError: if another holder has it; says who.
            LeaseLostError: if it could not be kept.
            LeaseDeadlockError: if this task has it or waits for it already.
            LeaseServerError: if the server cannot be reached for 5 s, or refuses to serve.
            AlreadyEnteredError: if what this returns was entered before.
            ValueError: if the name is empty, the `ttl` below 1 s, or the timeout negative.
            TypeError: if the name is not text.
        """
        terms = Terms(name, ttl, math.inf if timeout is None else timeout)
        return Hold(self._backend, terms, site_of(sys._getframe(1)), self._clock_of)

    async def holders(self) -> tuple[Holder, ...]:
        """Return who holds what at this server, ordered by name.

        Raises:
            LeaseServerError: if the server cannot be reached, or refuses to serve.
        """
        async with self._scope() as scope:
            return await scope.enter(self._look(), name="holders")

    @asynccontextmanager
    async def _look(self) -> AsyncGenerator[tuple[Holder, ...]]:
        async with self._backend.connected():
            try:
                found = await self._backend.holders()
            except Unreachable as error:
                problem = f"cannot ask who holds what: {error}"
                raise LeaseServerError(self._backend.server, problem) from error.__cause__
            yield found
