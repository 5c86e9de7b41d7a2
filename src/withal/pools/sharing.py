"""What `Shared`, `Keyed` and `Reloadable` have in common: an owner, a loop, and what is open."""

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
from withal.pools.hosting import OPEN_GRACE
from withal.pools.options import check_seconds, checked_name
from withal.pools.sharers import CLOSING, Sharers
from withal.pools.stages import Resources, Users
from withal.pools.statistics import Holder


class Cell(Protocol):
    """What is opened and closed here."""

    @property
    def sharers(self) -> Sharers:
        """Who uses it."""
        ...

    def close_nowait(self) -> None:
        """Close it, without a task that waits for that, whether it is used or not."""

    def stop(self) -> None:
        """Have no new users for good; close it if it has no users."""

    def forget(self) -> None:
        """Be empty again: the loop that it was open in was closed before it."""

    def cancel(self) -> None:
        """Cancel what is closing."""

    def abandon(self) -> None:
        """Wait no more for what is closing."""


@final
class Sharing:
    """What is open for many, in one scope or in none.

    Args:
        name: what it is called.
        linger: seconds that something stays open without users; None for as long as can be.
        close_timeout: seconds that closing one may take where no scope sets the time.
        scope: the owner, or None.
        limit: how many may be open without users, or None.

    Attributes:
        cells: what is open, opening or closing, the one used last at the end.
        context: what all of it is opened in a copy of, where no scope says.
        is_closed: there are no new users.
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
            raise TypeError(f"{name!r}: scope is a Scope or None, got {scope!r}")
        self.linger = linger
        self.close_timeout = close_timeout
        self.cells: dict[Cell, None] = {}
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
        """The names of the scopes, or the own one where there is none."""
        return self.held.path

    @property
    def state(self) -> str:
        """``"open"``, or that of the scope once that closes."""
        return self.held.phase.value if self.is_closed else "open"

    def clock(self) -> float:
        """Return the time of the loop."""
        return self.held.clock()

    def check(self) -> None:
        """Check that it can be used here, and bind it to the running loop if it is to none.

        Raises:
            PoolClosedError: its scope has closed.
            ScopeClosedError: its scope is not open yet.
            RuntimeError: it is open in another loop, or was before a fork.
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
                cell.forget()  # a loop that was not run to its end has left it
            self.cells.clear()
        self.held = ScopeState(self.name, self.close_timeout, OPEN_GRACE, None, close_unowned)
        assert self.context is not None
        self.held.context = self.context
        self._home = Home(repr(self.name), get_running_loop())

    def _join(self, scope: Scope) -> None:
        self.held = scope._state_for(self.name)
        self._home = Home(repr(self.name), self.held.loop)
        self._resources = Resources(self.held, self, self.name)
        self._users = Users(self.held, self)
        self.held.add(self._resources)
        self.held.add(self._users)

    def keep(self, error: BaseException) -> None:
        """Keep an error that no caller was there for, for the scope, or tell the loop of it."""
        if self._resources is not None:
            self._resources.keep(error)
        elif not is_a(error, ResourceLostError):  # as a loop that shuts down cancels its tasks
            message = f"{self.name!r} has failed, and no user waits for it"
            self.loop.call_exception_handler({"message": message, "exception": error})

    def has_become_idle(self, cell: Cell) -> None:
        """Take note that one is open without users, and close what is too many."""
        if cell in self.cells:
            del self.cells[cell]
            self.cells[cell] = None
        self.evict(0)

    def evict(self, more: int) -> None:
        """Close as many idle ones as are too many, if so many more are about to open."""
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

    # The end, in the stages of `stages.py`

    def look(self) -> None:
        """Look whether the scope that waits for the end has it."""
        if self._users is not None and self._resources is not None:
            self._users.look()
            self._resources.look()

    @property
    def use_count(self) -> int:
        """How many uses there are."""
        return sum(len(cell.sharers.uses) for cell in self.cells)

    @property
    def open_count(self) -> int:
        """How many are open, opening or closing."""
        return len(self.cells)

    def stop(self) -> None:
        """Have no new users, and close what has no users."""
        self.is_closed = True
        for cell in list(self.cells):
            cell.stop()

    def close_rest(self) -> None:
        """Close what is used all the same."""
        for cell in list(self.cells):
            cell.close_nowait()

    def cancel_rest(self) -> None:
        """Cancel what is still closing."""
        for cell in self.cells:
            cell.cancel()

    def abandon_rest(self) -> None:
        """Wait no more for what is still closing."""
        for cell in list(self.cells):
            cell.abandon()

    def holders(self) -> tuple[Holder, ...]:
        """Return who uses it, the longest first."""
        now = self.clock() if self.cells else 0.0
        uses = [use for cell in self.cells for use in cell.sharers.uses]
        return tuple(use.holder(now) for use in sorted(uses, key=lambda use: use.since))
