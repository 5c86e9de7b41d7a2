"""The two stages of closing a pool: first its uses end, then its resources close.

Each stage is one resource of the pool's scope, so that deadlines, cancellations and errors are
handled as in any scope.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from typing import Protocol, final

from withal._core.causes import is_a
from withal._core.errors import ResourceLostError
from withal._core.events import Observers
from withal._core.lifecycle import CLOSED, CLOSING
from withal._core.outcome import one_of
from withal._core.resources.base import Resource, ScopeHandle
from withal._core.waiting.latch import Latch
from withal.pools.errors import PoolCloseTimeoutError
from withal.pools.statistics import Holder

_KEPT_ERRORS = 100  # the number of errors kept that no user's task has raised


class Tenant(Protocol):
    """An object that closes in two stages: a pool, or a `Sharing`."""

    @property
    def use_count(self) -> int:
        """The number of uses."""
        ...

    @property
    def open_count(self) -> int:
        """The number of resources that are open, opening or closing."""
        ...

    def stop(self) -> None:
        """Accept no new users, and begin to close the resources without users."""

    def close_rest(self) -> None:
        """Begin to close all resources that are not closing yet, even those in use."""

    def cancel_rest(self) -> None:
        """Cancel the closings that are not done."""

    def abandon_rest(self) -> None:
        """Abandon the closings that are not done."""

    def holders(self) -> tuple[Holder, ...]:
        """Return the users, the longest first."""
        ...


@final
class Users(Resource):
    """The uses of a pool, as one resource: closed when the last use has ended."""

    def __init__(self, keeper: ScopeHandle, tenant: Tenant) -> None:
        super().__init__(keeper, "users")
        self.observers: Observers = ()
        self._tenant = tenant
        self._began = 0.0
        self.mark_open(None)

    @property
    def kind(self) -> str:
        """The number of uses."""
        return f"{self._tenant.use_count} in use"

    def matches(self, value: object) -> bool:
        """Return false: a scope's body has no value for it."""
        return False

    def _begin_close(self) -> None:
        self.set_closing()
        self._began = self.keeper.clock()
        self._tenant.stop()
        self.look()

    def look(self) -> None:
        """Finish closing, if it was requested and no use is left."""
        if self.phase is CLOSING and not self._tenant.use_count:
            self.mark_closed(None)

    def cancel(self, ended: Latch | None = None) -> None:
        """Stop waiting for the remaining users, and fail with an error that names them."""
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
    """The resources of a pool, as one resource: closed when all of them have closed."""

    error: BaseException | None
    _ended: Latch | None = None

    def __init__(self, keeper: ScopeHandle, tenant: Tenant, name: str) -> None:
        super().__init__(keeper, name)
        self.observers: Observers = ()
        self._tenant = tenant
        self._errors: deque[BaseException] = deque(maxlen=_KEPT_ERRORS)
        self._dropped = 0
        self.mark_open(None)

    @property
    def kind(self) -> str:
        """The number of resources."""
        return f"{self._tenant.open_count} open"

    def matches(self, value: object) -> bool:
        """Return false: a scope's body has no value for it."""
        return False

    def keep(self, error: BaseException) -> None:
        """Keep an error that no user's task raises, to raise it when the pool closes."""
        self._dropped += len(self._errors) == _KEPT_ERRORS
        self._errors.append(error)

    def _begin_close(self) -> None:
        self.set_closing()
        self._tenant.close_rest()
        self.look()

    def look(self) -> None:
        """Finish closing, if it was requested and no resource is left."""
        if self.phase is CLOSING and not self._tenant.open_count:
            self.mark_closed(self._error())

    def cancel(self, ended: Latch | None = None) -> None:
        """Cancel the closings that are not done."""
        self.cut = True
        self._ended = ended
        self._tenant.cancel_rest()

    def mark_closed(self, error: BaseException | None) -> None:
        """Record that all resources have closed."""
        super().mark_closed(error)
        if self._ended is not None:
            self._ended.arrive()

    def abandon(self) -> None:
        """Stop waiting for the rest, and raise the errors so far."""
        self._tenant.abandon_rest()
        if self.phase is not CLOSED:
            super().abandon()
            self.error = self._error()

    def _error(self) -> BaseException | None:
        errors = list(self._errors)
        self._errors.clear()
        if is_a(self.seen, CancelledError):
            # If the body is cancelled too, as at the end of asyncio.run(), losses are expected.
            errors = [each for each in errors if not is_a(each, ResourceLostError)]
        if not errors:
            return None
        error = one_of(f"pool {self.keeper.path!r} ended with errors", errors)
        if self._dropped:
            error.add_note(f"(withal: {self._dropped} earlier errors of this pool were dropped)")
        return error

    def _explain(self, error: BaseException) -> BaseException:
        return error
