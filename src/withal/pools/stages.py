"""The two stages in which a pool closes: its users leave, then what is left of it closes.

To the scope of the pool each is one resource, so that deadlines, cancellations and errors are
those of any scope.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from typing import Protocol, final

from withal._core.causes import is_a
from withal._core.errors import ResourceLostError
from withal._core.events import Observers
from withal._core.outcome import one_of
from withal._core.resources.base import CLOSED, CLOSING, Resource, ScopeHandle
from withal._core.waiting.latch import Latch
from withal.pools.errors import PoolCloseTimeoutError
from withal.pools.statistics import Holder

_KEPT = 100  # of the errors that no caller was there for


class Tenant(Protocol):
    """What closes in two stages."""

    @property
    def use_count(self) -> int:
        """How many uses there are."""
        ...

    @property
    def open_count(self) -> int:
        """How much is open, opening or closing."""
        ...

    def stop(self) -> None:
        """Have no new users, and begin to close what has no users."""

    def close_rest(self) -> None:
        """Begin to close all that is not closing yet, whether it is used or not."""

    def cancel_rest(self) -> None:
        """Cancel what is still closing."""

    def abandon_rest(self) -> None:
        """Wait no more for what is still closing."""

    def holders(self) -> tuple[Holder, ...]:
        """Return who uses it, the longest first."""
        ...


@final
class Users(Resource):
    """The uses of a pool: closed when the last has ended."""

    def __init__(self, keeper: ScopeHandle, tenant: Tenant) -> None:
        super().__init__(keeper, "users")
        self.observers: Observers = ()
        self._tenant = tenant
        self._began = 0.0
        self.mark_open(None)

    @property
    def kind(self) -> str:
        """How many there are."""
        return f"{self._tenant.use_count} in use"

    def matches(self, value: object) -> bool:
        """Never: it is of no scope's body."""
        return False

    def _begin_close(self) -> None:
        self.phase = CLOSING
        self._began = self.keeper.clock()
        self._tenant.stop()
        self.look()

    def look(self) -> None:
        """Close, if that is asked for and no user is left."""
        if self.phase is CLOSING and not self._tenant.use_count:
            self.mark_closed(None)

    def cancel(self, ended: Latch | None = None) -> None:
        """Wait no longer for those that are left: name them."""
        holders = self._tenant.holders()
        keeper = self.keeper
        seconds = keeper.clock() - self._began
        names = tuple(map(str, holders))
        self.cut = True
        self.mark_closed(PoolCloseTimeoutError(keeper.path, seconds, names, (), False, holders))
        if ended is not None:
            ended.arrive()

    def _explain(self, error: BaseException) -> BaseException:
        return error


@final
class Resources(Resource):
    """What a pool has open: closed when all of it has closed."""

    error: BaseException | None
    _ended: Latch | None = None

    def __init__(self, keeper: ScopeHandle, tenant: Tenant, name: str) -> None:
        super().__init__(keeper, name)
        self.observers: Observers = ()
        self._tenant = tenant
        self._errors: deque[BaseException] = deque(maxlen=_KEPT)
        self._dropped = 0
        self.mark_open(None)

    @property
    def kind(self) -> str:
        """How many there are."""
        return f"{self._tenant.open_count} open"

    def matches(self, value: object) -> bool:
        """Never: it is of no scope's body."""
        return False

    def keep(self, error: BaseException) -> None:
        """Keep an error that no caller was there for, to be raised when the pool closes."""
        self._dropped += len(self._errors) == _KEPT
        self._errors.append(error)

    def _begin_close(self) -> None:
        self.phase = CLOSING
        self._tenant.close_rest()
        self.look()

    def look(self) -> None:
        """Close, if that is asked for and nothing is left."""
        if self.phase is CLOSING and not self._tenant.open_count:
            self.mark_closed(self._error())

    def cancel(self, ended: Latch | None = None) -> None:
        """Cancel what is still closing."""
        self.cut = True
        self._ended = ended
        self._tenant.cancel_rest()

    def mark_closed(self, error: BaseException | None) -> None:
        """Note that all has closed."""
        super().mark_closed(error)
        if self._ended is not None:
            self._ended.arrive()

    def abandon(self) -> None:
        """Wait no more for what is left, and raise what has failed so far."""
        self._tenant.abandon_rest()
        if self.phase is not CLOSED:
            super().abandon()
            self.error = self._error()

    def _error(self) -> BaseException | None:
        errors = list(self._errors)
        self._errors.clear()
        if is_a(self.seen, CancelledError):
            # Where the body is cancelled too, as by a loop that shuts down, a loss is no news.
            errors = [each for each in errors if not is_a(each, ResourceLostError)]
        if not errors:
            return None
        error = one_of(f"pool {self.keeper.path!r} ended with errors", errors)
        if self._dropped:
            error.add_note(f"(withal: {self._dropped} earlier errors of this pool were dropped)")
        return error

    def _explain(self, error: BaseException) -> BaseException:
        return error
