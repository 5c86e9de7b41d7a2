"""Closing single resources of a pool, awaited by the user's task or in the background."""

from __future__ import annotations

from asyncio import current_task
from functools import partial
from typing import Protocol, final

from withal._core.lifecycle import Phase
from withal._core.resources.callback import Callback
from withal._core.scopes.closing import begin_closing, end_closing
from withal._core.scopes.stages import ABANDON_AFTER_SECONDS, LAST_CALL_SECONDS, Closing
from withal._core.scopes.state import ScopeState
from withal.pools.hosting import OPEN_GRACE_SECONDS, CallbackLatch, HostKeeper
from withal.pools.member import Member
from withal.pools.queue import Queue
from withal.pools.stages import Resources, Users
from withal.pools.statistics import Reason


class OpenPool(Protocol):
    """The part of a pool that closing needs."""

    held: ScopeState
    users: Users
    resources: Resources

    def work(self) -> None:
        """Begin pending openings and checks, since there may be room now."""


@final
class Closers:
    """Closes the resources of one pool.

    Args:
        queue: the queue of the pool.
        silent: the keeper of resources that send no events.
        pool: the pool.
    """

    def __init__(self, queue: Queue, silent: HostKeeper, pool: OpenPool) -> None:
        self._queue = queue
        self._silent = silent
        self._pool = pool
        self._callbacks: dict[Member, Callback] = {}

    @property
    def open_count(self) -> int:
        """The number of resources that count towards the size, or have closed just now."""
        members = self._queue.members
        return len(members) + len(self._callbacks.keys() - members.keys())

    def retire(self, member: Member, reason: Reason, seen: BaseException | None = None) -> None:
        """Close a resource in the background; the pool raises the error, if that fails."""
        self._queue.retire(member, reason)
        member.stop_timer()
        if member.call is not None:
            member.call.cancel()
        callback = Callback(
            self._silent,
            partial(self._close_alone, member, seen),
            f"closing {self._queue.options.name}",
        )
        self._callbacks[member] = callback
        callback.close_nowait(
            None, CallbackLatch(self._silent.loop, partial(self._has_retired, member))
        )
        self._pool.users.look()

    async def _close_alone(self, member: Member, seen: BaseException | None) -> None:
        closing = begin_closing(self._pool.held, seen, current_task())
        if self._pool.users.cut:  # the pool's deadline has passed: only the last call is left
            silent = self._silent
            seconds = LAST_CALL_SECONDS - 2 * ABANDON_AFTER_SECONDS
            closing = Closing(silent.loop, silent.clock, seconds, None, seen)
        await self.close(member, closing)
        ending = closing.result
        if ending.seen is seen:
            ending.seen = None  # it was passed to the manager's exit; it is not an error of closing
        ending.cancellation = None  # of this task, at the end of asyncio.run()
        error = end_closing(self._pool.held, closing, requested=False, own=False)
        if error is not None:
            self._pool.resources.keep(error)

    def _has_retired(self, member: Member) -> None:
        del self._callbacks[member]
        self._pool.resources.look()
        self._pool.work()

    async def close(self, member: Member, closing: Closing) -> None:
        """Close a retired resource, and free its place."""
        host = member.host
        assert host is not None
        closing.result.ignore_suppression = True
        try:
            if host.phase is Phase.OPENING:
                await closing.give_up((host,), OPEN_GRACE_SECONDS)
            else:
                rest = closing.stage((host,))
                if rest is not None:
                    await rest
        finally:
            self._queue.gone(member)
            self._pool.resources.look()
            self._pool.work()
