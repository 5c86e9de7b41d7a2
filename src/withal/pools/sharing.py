"""The common part of `Shared`, `Keyed` and `Reloadable`: owner, loop, and open resources."""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from contextvars import Context, copy_context
from typing import Protocol, cast, final

from withal._core.causes import is_a
from withal._core.errors import ResourceLostError
from withal._core.scope import Scope
from withal._core.scopes.closing import close_unowned
from withal._core.scopes.state import ScopeState
from withal.pools.errors import PoolClosedError
from withal.pools.home import Home
from withal.pools.hosting import OPEN_GRACE_SECONDS
from withal.pools.options import check_seconds, checked_name
from withal.pools.sharers import CLOSING, Sharers
from withal.pools.stages import Resources, Users
from withal.pools.statistics import Holder


class SharedCell(Protocol):
    """One shared resource, as this module uses it."""

    @property
    def sharers(self) -> Sharers:
        """Its users."""
        ...

    def close_nowait(self) -> None:
        """Begin to close it, even if it has users; no task waits for the end."""

    def stop(self) -> None:
        """Accept no new users any more; close it if it has no users."""

    def forget(self) -> None:
        """Reset it to empty: its event loop was closed before it."""

    def cancel(self) -> None:
        """Cancel its closing."""

    def abandon(self) -> None:
        """Abandon its closing."""


@final
class Sharing:
    """The open resources of one `Shared`, `Keyed` or `Reloadable`, and their owner.

    Args:
        name: the name in errors and events.
        linger: seconds that a resource stays open without users; None for as long as possible.
        close_timeout: seconds that closing one may take, if no scope sets the deadline.
        scope: the owner, or None.
        limit: the number of open resources above which idle ones are closed, or None.

    Attributes:
        cells: those that are open, opening or closing; the most recently used is last.
        context: the context in whose copies they are opened, if there is no scope.
        is_closed: whether there are no new users.
    """

    name: str
    held: ScopeState
    _home: Home | None = None

    def __init__(
        self,
        name: str,
        *,
        linger: float | None,
        close_timeout: float,
        scope: Scope | None,
        limit: int | None = None,
    ) -> None:
        self.name = name = checked_name(name)
        check_seconds(f"{name!r}: linger", linger)
        check_seconds(f"{name!r}: close_timeout", close_timeout, optional=False)
        if scope is not None and not isinstance(cast("object", scope), Scope):
            raise TypeError(f"{name!r}: scope must be a Scope or None, got {scope!r}")
        self.linger = linger
        self.close_timeout = close_timeout
        self.cells: dict[SharedCell, None] = {}
        self.is_closed: bool = False
        self.context: Context | None = copy_context() if scope is None else None
        self._limit = limit
        self._scope = scope
        self._users: Users | None = None
        self._resources: Resources | None = None
        if scope is not None and scope.state == "open":
            self._join(scope)

    @property
    def loop(self) -> AbstractEventLoop:
        """The loop that it is used in."""
        return self.held.loop

    @property
    def path(self) -> str:
        """The names of the scopes, joined; the own name if there is no scope."""
        return self.held.path

    @property
    def state(self) -> str:
        """``"open"``, or the state of the scope when that closes."""
        return self.held.phase.value if self.is_closed else "open"

    def clock(self) -> float:
        """Return the time of the loop."""
        return self.held.clock()

    def check(self) -> None:
        """Check that it can be used here, and bind it to the running loop if it has none.

        Raises:
            PoolClosedError: if its scope has closed.
            ScopeClosedError: if its scope is not open yet.
            RuntimeError: if it is open in another loop, or was opened before a fork.
        """
        home = self._home
        if home is not None and home.is_here():
            if self.is_closed:
                raise PoolClosedError(self.name, self.state)
            return
        if self._scope is not None:
            if home is None:
                self._join(self._scope)
            assert self._home is not None
            self._home.check()
            return
        if home is not None and self.cells:
            if not home.loop.is_closed():
                home.check()
            for cell in list(self.cells):
                cell.forget()  # its loop was closed without asyncio.run(), so it was never closed
            self.cells.clear()
        self.held = ScopeState(
            self.name, self.close_timeout, OPEN_GRACE_SECONDS, None, close_unowned
        )
        assert self.context is not None
        self.held.context = self.context
        self._home = Home(repr(self.name), get_running_loop())

    def _join(self, scope: Scope) -> None:
        self.held = scope._state_for(self.name)
        self._home = Home(repr(self.name), self.held.loop)
        self._resources = Resources(self.held, self, self.name)
        self._users = Users(self.held, self)
        self.held.resources.add(self._resources)
        self.held.resources.add(self._users)

    def keep(self, error: BaseException) -> None:
        """Keep an error that no user raises: for the scope, or the loop's exception handler."""
        if self._resources is not None:
            self._resources.keep(error)
        elif not is_a(error, ResourceLostError):  # asyncio.run() cancels all tasks at its end
            message = f"{self.name!r} has failed, and no user is left to raise the error"
            self.loop.call_exception_handler({"message": message, "exception": error})

    def has_become_idle(self, cell: SharedCell) -> None:
        """Record that a resource is open without users, and close idle ones above the limit."""
        if cell in self.cells:
            del self.cells[cell]
            self.cells[cell] = None
        self.evict(0)

    def evict(self, more: int) -> None:
        """Close idle ones above the limit, if `more` are about to open."""
        if self._limit is None:
            return
        staying = sum(cell.sharers.stage is not CLOSING for cell in self.cells)
        too_many = staying + more - self._limit
        for cell in list(self.cells):
            if too_many <= 0:
                return
            if cell.sharers.is_idle:
                cell.close_nowait()
                too_many -= 1

    # Closing, in the stages of `stages.py`

    def look(self) -> None:
        """Check whether the stages of closing are done."""
        if self._users is not None and self._resources is not None:
            self._users.look()
            self._resources.look()

    @property
    def use_count(self) -> int:
        """The number of uses."""
        return sum(len(cell.sharers.uses) for cell in self.cells)

    @property
    def open_count(self) -> int:
        """The number of resources that are open, opening or closing."""
        return len(self.cells)

    def stop(self) -> None:
        """Accept no new users, and close the resources without users."""
        self.is_closed = True
        for cell in list(self.cells):
            cell.stop()

    def close_rest(self) -> None:
        """Close the resources that are still in use."""
        for cell in list(self.cells):
            cell.close_nowait()

    def cancel_rest(self) -> None:
        """Cancel the closings that are not done."""
        for cell in self.cells:
            cell.cancel()

    def abandon_rest(self) -> None:
        """Abandon the closings that are not done."""
        for cell in list(self.cells):
            cell.abandon()

    def holders(self) -> tuple[Holder, ...]:
        """Return the users, the longest first."""
        now = self.clock() if self.cells else 0.0
        uses = [use for cell in self.cells for use in cell.sharers.uses]
        return tuple(use.holder(now) for use in sorted(uses, key=lambda use: use.since))
