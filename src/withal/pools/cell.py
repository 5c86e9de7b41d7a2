"""One resource that any number use at once: opened for the first, closed after the last."""

from __future__ import annotations

from asyncio import Future, TimerHandle, current_task
from collections.abc import Callable
from functools import partial
from typing import Any, final

from withal._core.errors import CloseTimeoutError, ResourceLostError
from withal._core.outcome import raise_unchanged
from withal._core.resources.base import CLOSED as HOST_CLOSED
from withal._core.resources.base import OPEN as HOST_OPEN
from withal._core.resources.base import OPENING as HOST_OPENING
from withal._core.resources.base import Openable, Resource
from withal._core.resources.hosted import Host
from withal._core.scopes.closing import begin_closing
from withal._core.scopes.stages import ABANDON_AFTER_SECONDS, Closing, leave_behind
from withal._core.scopes.starting import openable
from withal.pools.errors import PoolClosedError
from withal.pools.hosting import OPEN_GRACE, HostKeeper, Told
from withal.pools.long_uses import warn_of
from withal.pools.sharers import CLOSING, EMPTY, OPEN, OPENING, Guest, Sharers
from withal.pools.sharing import Sharing
from withal.pools.use import Use


def _ignore(cell: Cell) -> None:
    """Do nothing about it."""


@final
class Cell:
    """Does what `Sharers` decides.

    Args:
        sharing: what it belongs to.
        make: returns a context manager each time that it is opened.
        opened: called when it has opened.
        emptied: called when it has closed, or failed to open, and nothing waits for it.

    Attributes:
        sharers: what decides.
        value: what its users get.
    """

    def __init__(
        self,
        sharing: Sharing,
        make: Callable[[], object],
        opened: Callable[[Cell], None] = _ignore,
        emptied: Callable[[Cell], None] = _ignore,
    ) -> None:
        self.sharing = sharing
        self.sharers: Sharers = Sharers()
        self.value: Any = None
        self._make = make
        self._opened = opened
        self._emptied = emptied
        self._host: Openable | None = None
        self._timer: TimerHandle | None = None
        self._is_replaced = False
        self._drain_timeout: float | None = None

    # Using it

    def take(self, use: Use) -> bool:
        """Use it at once, if it is open."""
        if not self.sharers.take(use):
            return False
        if self._timer is not None:
            self._stop_timer()
        return True

    async def wait(self, use: Use) -> None:
        """Wait until it is open, and use it."""
        guest = Guest(use)
        try:
            while True:
                await self._until_open(guest)
                if use in self.sharers.uses and not self._has_died:
                    return
                self.leave_nowait(use)  # it has died since, and is opened again
        except BaseException:
            self.sharers.guests.pop(guest, None)
            self.leave_nowait(use)
            raise

    async def _until_open(self, guest: Guest) -> None:
        if self.sharers.closed:
            raise self._closed_error()
        if self.sharers.wait(guest):
            self._open()
        if not guest.is_in and guest.failure is None:
            future: Future[None] = self.sharing.loop.create_future()
            guest.wake = partial(_complete, future)
            await future
        if guest.failure is not None:
            # One error may be for many, and each is to show its own way only.
            raise guest.failure.with_traceback(guest.failure_traceback)

    @property
    def _has_died(self) -> bool:
        return self._host is not None and self._host.lost

    def leave_nowait(self, use: Use) -> None:
        """End a use that never began; what follows from it nothing waits for."""
        if self.sharers.leave(use) and not self._linger():
            self.close_nowait()
        self.sharing.look()

    async def leave(self, use: Use, exc: BaseException | None) -> bool:
        """End a use; the last closes the resource, unless it lingers, and hears of its errors."""
        use.end()
        closes = self.sharers.leave(use) and not self._linger()
        if not closes and not use.has_died:
            self.sharing.look()
            return False
        held = self.sharing.held
        closing = begin_closing(held, exc, current_task())
        if closes:
            await self._close(closing, exc)
        self.sharing.look()
        error = use.conclude(held, closing, self.sharing.name)
        if error is not None and error is not exc:
            raise_unchanged(error)
        return exc is not None and error is None

    def _linger(self) -> bool:
        """Stay open for a while without users, if that is wanted."""
        linger = self.sharing.linger
        if linger == 0 or self._is_replaced or self.sharers.is_ending or self.sharers.closed:
            return False
        self._stop_timer()
        if linger is not None:
            self._timer = self.sharing.loop.call_later(linger, self._close_if_idle)
        self.sharing.has_become_idle(self)
        return True

    # Opening

    def _open(self) -> None:
        sharing = self.sharing
        keeper = HostKeeper(sharing.held, self._lost, without_scope=sharing.context)
        sharing.cells[self] = None
        self._host = None
        try:
            self._host = host = openable(keeper, self._make())
        except BaseException as exc:  # carried to those that wait
            self._has_failed(exc)
            return
        host.start(Told(sharing.loop, self._is_open))
        if isinstance(host, Host) and host.task is not None:
            host.task.add_done_callback(lambda _: host.check_started())

    def _is_open(self) -> None:
        host = self._host
        assert host is not None
        if self.sharers.stage is not OPENING:
            return
        if host.phase is not HOST_OPEN:
            error = host.error or ResourceLostError(self.sharing.path, host.name, "opening")
            self._has_failed(error)
            return
        self.value = host.value
        guests = self.sharers.opened()
        now = self.sharing.clock()
        for guest in guests:
            guest.use.since = now
        _wake(guests)
        self._opened(self)
        if self._is_replaced:  # while it was opening, or by those that waited until it had closed
            self.end_after_last(self._drain_timeout)
        if self.sharers.is_idle and not self._linger():
            self.close_nowait()

    def _has_failed(self, error: BaseException) -> None:
        guests = self.sharers.failed(error)
        _wake(guests)
        self.sharing.cells.pop(self, None)
        if not guests:
            self.sharing.keep(error)
        self._emptied(self)
        self.sharing.look()

    def _lost(self, resource: Resource) -> None:
        """Hear of its death (law 8): who uses it is to leave, and it is opened again."""
        self.sharers.is_ending = True
        for use in list(self.sharers.uses):
            if not use.die(self.sharing.name) and (use.task is None or use.task.done()):
                self.sharers.uses.pop(use)
        self._close_if_idle()

    # Closing

    async def _close(self, closing: Closing, exc: BaseException | None) -> None:
        assert self._host is not None
        self.sharers.close()
        closing.result.seen = None  # it is not this resource's use alone that has ended so
        try:
            rest = closing.stage((self._host,))
            if rest is not None:
                await rest
        finally:
            self._gone()
            if closing.result.seen is None:
                closing.result.seen = exc

    def close_nowait(self) -> None:
        """Close it, without a task that waits for that, whether it is used or not."""
        host = self._host
        if host is None or self.sharers.stage in (EMPTY, CLOSING):
            return
        self._stop_timer()
        seconds = OPEN_GRACE if host.phase is HOST_OPENING else self.sharing.close_timeout
        self.sharers.close()
        self._timer = self.sharing.loop.call_later(seconds, self._cut, host)
        host.close_nowait(None, Told(self.sharing.loop, partial(self._has_closed, host)))

    def _close_if_idle(self) -> None:
        if self.sharers.is_idle:
            self.close_nowait()

    def end_after_last(self, drain_timeout: float | None) -> None:
        """Have no new users, and close after the last, or when time is up."""
        self._is_replaced = True
        self._drain_timeout = drain_timeout
        self.sharers.is_ending = True
        self._close_if_idle()
        if self.sharers.stage is OPEN and drain_timeout is not None:
            self._stop_timer()
            self._timer = self.sharing.loop.call_later(drain_timeout, self._drain)

    def _drain(self) -> None:
        now = self.sharing.clock()
        uses = list(self.sharers.uses)
        self.close_nowait()  # first, since a warning raises where warnings are errors
        for use in uses:
            name = self.sharing.name
            text = f"{name!r} was replaced, and is closed under its user: {use.holder(now)}"
            warn_of(use, text)

    def _cut(self, host: Openable) -> None:
        host.overdue = host.phase is not HOST_OPENING
        host.cancel()
        self._timer = self.sharing.loop.call_later(ABANDON_AFTER_SECONDS, leave_behind, host)

    def _has_closed(self, host: Openable) -> None:
        self._stop_timer()
        if host.overdue:
            left = () if host.phase is HOST_CLOSED else (host.name,)
            timeout = self.sharing.close_timeout
            self.sharing.keep(CloseTimeoutError(self.sharing.path, timeout, (host.name,), left))
        if host.error is not None:
            self.sharing.keep(host.error)
        self._gone()

    def _gone(self) -> None:
        self._stop_timer()
        self.value = None
        self._host = None
        if self.sharers.gone():
            self._open()
        else:
            self.sharing.cells.pop(self, None)
            self._emptied(self)
        self.sharing.look()

    def forget(self) -> None:
        """Be empty again: the loop that it was open in was closed before it."""
        self._timer = self._host = self.value = None
        self.sharers = Sharers()
        self._emptied(self)

    def stop(self) -> None:
        """Have no new users for good; close it if it has no users."""
        self.sharers.closed = True
        _wake(self.sharers.turn_away(self._closed_error()))
        if self.sharers.stage is OPENING or self.sharers.is_idle:
            self.close_nowait()

    def cancel(self) -> None:
        """Cancel what is closing."""
        if self._host is not None:
            self._host.cancel()

    def abandon(self) -> None:
        """Wait no more for what is closing."""
        if self._host is not None:
            leave_behind(self._host)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _closed_error(self) -> PoolClosedError:
        return PoolClosedError(self.sharing.name, self.sharing.state)


def _wake(guests: list[Guest]) -> None:
    for guest in guests:
        if guest.wake is not None:
            guest.wake()


def _complete(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)
