"""The base class of all leases: acquiring a lease, and listing the holders."""

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
    """The leases of one server. Each subclass is for one kind of server."""

    def __init__(self, backend: Backend, clock_of: ClockOf = LoopClock) -> None:
        self._backend = backend
        self._clock_of = clock_of
        self._kept: AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<withal.lease.{type(self).__name__} {self._backend.server}>"

    async def __aenter__(self) -> Self:
        """Keep connections open in this block, also while no lease is held."""
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
        """Return a scope for connections: they close even if the caller is cancelled meanwhile."""
        return Scope(type(self).__name__, open_grace=0.0)

    def hold(self, name: str, *, ttl: float = 30.0, timeout: float | None = None) -> Hold:
        """Hold a lease while the block runs: ``async with leases.hold("nightly") as lease``.

        At most one task at a time holds the lease of a name, among all users of the same server.
        The lease is renewed each third of its `ttl`. If renewals fail for too long, the body is
        cancelled before another task can get the lease, and `LeaseLostError` is raised when the
        body has ended. This is timed by a clock of this process that never jumps. The body then has
        a tenth of the `ttl` to end, at least 0.2 s and at most 5 s. If the process was stopped, or
        its event loop blocked, for longer than that, the cancellation comes late: at the next await
        that waits. Work before that may overlap with the next holder; the fencing token
        `Lease.token` protects against this.

        Waiting tasks get the lease in the order of their requests. One that does not take it within
        half a second of its turn, such as one whose process has died, is skipped.

        If a wait is cancelled, no lease is held. If a body is cancelled, the lease is released. If
        the server cannot be reached for a release, it is retried for 5 s, within the deadline of
        the scope; then `LeaseServerError` is raised, and the lease expires at the server.

        Args:
            name: any text except an empty one.
            ttl: seconds until the lease expires when it is not renewed, 1 or more. For so long it
                stays taken after its holder has died. All users of a name should pass the same.
            timeout: seconds to wait for the lease; 0 tries once, None waits without end.

        Raises:
            LeaseTimeoutError: if another holder has it; the message names that holder.
            LeaseLostError: if it could not be kept.
            LeaseDeadlockError: if this task has it or waits for it already.
            LeaseServerError: if the server cannot be reached for 5 s, or refuses the request.
            AlreadyEnteredError: if the returned object was entered before.
            ValueError: if the name is empty, the `ttl` below 1 s, or the timeout negative.
            TypeError: if the name is not a str.
        """
        terms = Terms(name, ttl, math.inf if timeout is None else timeout)
        return Hold(self._backend, terms, site_of(sys._getframe(1)), self._clock_of)

    async def holders(self) -> tuple[Holder, ...]:
        """Return the holders of all leases at this server, ordered by name.

        Raises:
            LeaseServerError: if the server cannot be reached, or refuses the request.
        """
        async with self._scope() as scope:
            return await scope.enter(self._look(), name="holders")

    @asynccontextmanager
    async def _look(self) -> AsyncGenerator[tuple[Holder, ...]]:
        async with self._backend.connected():
            try:
                found = await self._backend.holders()
            except Unreachable as error:
                problem = f"cannot list the holders: {error}"
                raise LeaseServerError(self._backend.server, problem) from error.__cause__
            yield found
