"""One resource with any number of users at once: opened for the first, closed after the last."""

from __future__ import annotations

from asyncio import Future, TimerHandle, current_task
from collections.abc import Callable
from functools import partial
from typing import Any, final

from withal._core.errors import CloseTimeoutError, ResourceLostError
from withal._core.lifecycle import CLOSED as HOST_CLOSED
from withal._core.lifecycle import OPEN as HOST_OPEN
from withal._core.lifecycle import OPENING as HOST_OPENING
from withal._core.outcome import raise_unchanged
from withal._core.resources.base import Resource
from withal._core.resources.hosted import Host
from withal._core.resources.managed import Openable
from withal._core.scopes.closing import begin_closing
from withal._core.scopes.stages import ABANDON_AFTER_SECONDS, Closing, leave_behind
from withal._core.scopes.starting import openable
from withal.pools.errors import PoolClosedError
from withal.pools.hosting import OPEN_GRACE_SECONDS, CallbackLatch, HostKeeper
from withal.pools.long_uses import warn_of
from withal.pools.sharers import CLOSING, EMPTY, OPEN, OPENING, Guest, Sharers
from withal.pools.sharing import Sharing
from withal.pools.use import Use


def _ignore(cell: Cell) -> None:
    """Do nothing; the default of the callbacks."""


@final
class Cell:
    """Opens and closes one shared resource, as its `Sharers` decides.

    Args:
        sharing: the collection that it belongs to.
        make: returns a context manager each time that the resource is opened.
        opened: called when it has opened.
        emptied: called when it has closed, or failed to open, and no task waits for it.

    Attributes:
        sharers: the state that decides.
        value: the value that its users get.
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

    # Uses

    def take(self, use: Use) -> bool:
        """Begin a use if the resource is open; return whether it is."""
        if not self.sharers.take(use):
            return False
        if self._timer is not None:
            self._stop_timer()
        return True

    async def wait(self, use: Use) -> None:
        """Wait until the resource is open, and begin a use."""
        guest = Guest(use)
        try:
            while True:
                await self._until_open(guest)
                if use in self.sharers.uses and not self._has_died:
                    return
                self.leave_nowait(use)  # it has died meanwhile, and is opened again
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
            # Several tasks may raise the same error. With the traceback of the opening, each shows
            # its own frames and not those of the other tasks.
            raise guest.failure.with_traceback(guest.failure_traceback)

    @property
    def _has_died(self) -> bool:
        return self._host is not None and self._host.lost

    def leave_nowait(self, use: Use) -> None:
        """End a use that never began; do not wait if the resource closes because of it."""
        if self.sharers.leave(use) and not self._linger():
            self.close_nowait()
        self.sharing.look()

    async def leave(self, use: Use, exc: BaseException | None) -> bool:
        """End a use. The last one closes the resource, unless it lingers, and raises its errors."""
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
        """Return whether the resource stays open without users, and set the timer for its end."""
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
        except BaseException as exc:  # raised in the tasks that wait
            self._has_failed(exc)
            return
        host.start(CallbackLatch(sharing.loop, self._is_open))
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
        if self._is_replaced:  # while it was opening, or before a waiting task opened it again
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
        """Cancel the users of a resource that has died (law 8); the next user opens it again."""
        self.sharers.is_ending = True
        for use in list(self.sharers.uses):
            if not use.die(self.sharing.name) and (use.task is None or use.task.done()):
                self.sharers.uses.pop(use)
        self._close_if_idle()

    # Closing

    async def _close(self, closing: Closing, exc: BaseException | None) -> None:
        assert self._host is not None
        self.sharers.close()
        closing.result.seen = None  # the exception of one user is not that of the shared resource
        try:
            rest = closing.stage((self._host,))
            if rest is not None:
                await rest
        finally:
            self._gone()
            if closing.result.seen is None:
                closing.result.seen = exc

    def close_nowait(self) -> None:
        """Begin to close it, even if it has users; no task waits for the end."""
        host = self._host
        if host is None or self.sharers.stage in (EMPTY, CLOSING):
            return
        self._stop_timer()
        seconds = OPEN_GRACE_SECONDS if host.phase is HOST_OPENING else self.sharing.close_timeout
        self.sharers.close()
        self._timer = self.sharing.loop.call_later(seconds, self._cut, host)
        host.close_nowait(None, CallbackLatch(self.sharing.loop, partial(self._has_closed, host)))

    def _close_if_idle(self) -> None:
        if self.sharers.is_idle:
            self.close_nowait()

    def end_after_last(self, drain_timeout: float | None) -> None:
        """Accept no new users, and close after the last user or after `drain_timeout`."""
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
        self.close_nowait()  # first, since the warning may be raised as an error
        for use in uses:
            name = self.sharing.name
            text = f"{name!r} was replaced, and is closed while it is used by {use.holder(now)}"
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
        """Reset it to empty: its event loop was closed before it."""
        self._timer = self._host = self.value = None
        self.sharers = Sharers()
        self._emptied(self)

    def stop(self) -> None:
        """Accept no new users any more; close it if it has no users."""
        self.sharers.closed = True
        _wake(self.sharers.fail_guests(self._closed_error()))
        if self.sharers.stage is OPENING or self.sharers.is_idle:
            self.close_nowait()

    def cancel(self) -> None:
        """Cancel its closing."""
        if self._host is not None:
            self._host.cancel()

    def abandon(self) -> None:
        """Abandon its closing."""
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
