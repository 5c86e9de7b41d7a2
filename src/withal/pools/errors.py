"""What goes wrong with what many hold, as errors that say who holds it and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from withal._core.errors import CloseTimeoutError, WithalError
from withal.pools.statistics import Holder

_SHOWN = 10  # of the holders, in a message


@final
class PoolClosedError(WithalError):
    """Something was asked of a pool that is not open: not yet, or no longer.

    `Shared`, `Keyed` and `Reloadable` raise it too, when their scope has closed.

    Attributes:
        pool: the pool's name.
        state: ``"new"``, ``"closing"`` or ``"closed"``.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, state: str) -> None:
        self.pool = pool
        self.state = state
        super().__init__(pool, state)

    def __str__(self) -> str:
        if self.state == "new":
            return f"pool {self.pool!r} is not open yet; enter it first, with `async with pool:`"
        return (
            f"pool {self.pool!r} is {self.state} and has no new users; "
            "acquire before the body of its `async with` ends"
        )


@final
class PoolTimeoutError(WithalError, TimeoutError):
    """No resource became free in time.

    If an opening has failed in the meantime, its error is the cause of this one.

    Attributes:
        pool: the pool's name.
        timeout: the seconds that were waited.
        size: how many resources the pool may have.
        holders: who holds them, the longest first.
        preparing: how many were being opened, checked, reset or closed.
    """

    __module__ = "withal.pools"

    def __init__(
        self, pool: str, timeout: float, size: int, holders: tuple[Holder, ...], preparing: int
    ) -> None:
        self.pool = pool
        self.timeout = timeout
        self.size = size
        self.holders = holders
        self.preparing = preparing
        super().__init__(pool, timeout, size, holders, preparing)

    def __str__(self) -> str:
        text = f"pool {self.pool!r}: none of {self.size} was free within {self.timeout:.3g} s"
        if self.holders:
            text += f"; held by {_listed(self.holders)}"
        if self.preparing:
            text += f"; {self.preparing} being opened, checked, reset or closed"
        return text + "; hold each for a shorter time, or give the pool a greater size"


@final
class PoolFullError(WithalError):
    """As many tasks as the pool allows were waiting already.

    Attributes:
        pool: the pool's name.
        max_waiting: how many may wait.
        holders: who holds the resources, the longest first.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, max_waiting: int, holders: tuple[Holder, ...]) -> None:
        self.pool = pool
        self.max_waiting = max_waiting
        self.holders = holders
        super().__init__(pool, max_waiting, holders)

    def __str__(self) -> str:
        held = f"; held by {_listed(self.holders)}" if self.holders else ""
        return (
            f"pool {self.pool!r}: {self.max_waiting} are waiting, and no more may{held}; "
            "try again later, or allow more by max_waiting"
        )


@final
class PoolDeadlockError(WithalError):
    """A task that holds all resources of a pool has asked for one more, and would wait for itself.

    Attributes:
        pool: the pool's name.
        task: the name of the task.
        site: where it has asked for one more.
        holders: where it has acquired those that it holds.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, task: str, site: str, holders: tuple[Holder, ...]) -> None:
        self.pool = pool
        self.task = task
        self.site = site
        self.holders = holders
        super().__init__(pool, task, site, holders)

    def __str__(self) -> str:
        sites = ", ".join(holder.site for holder in self.holders[:_SHOWN])
        count = len(self.holders)
        what = "the only resource" if count == 1 else f"all {count} resources"
        return (
            f"deadlock: task {self.task!r} holds {what} of pool {self.pool!r}, acquired at "
            f"{sites}, and asks for one more at {self.site}; "
            "use the one that it holds, or release it first"
        )


@final
class PoolCloseTimeoutError(CloseTimeoutError):
    """The time to close a pool was up while resources of it were still held.

    They were closed all the same, under those that hold them.

    Attributes:
        holders: who held them, the longest first.
    """

    __module__ = "withal.pools"

    def __init__(
        self,
        scope: str,
        timeout: float,
        resources: tuple[str, ...],
        abandoned: tuple[str, ...] = (),
        hurried: bool = False,
        holders: tuple[Holder, ...] = (),
    ) -> None:
        super().__init__(scope, timeout, resources, abandoned, hurried)
        self.holders = holders
        self.args: tuple[Any, ...] = (*self.args, holders)

    def __str__(self) -> str:
        return (
            f"{self.scope!r} was closed after {self.timeout:.3g} s while held by "
            f"{_listed(self.holders)}; end these uses first, or give it a longer close_timeout"
        )


@final
class NotHeldError(WithalError, LookupError):
    """What was to be discarded is not held: it is not the pool's, or has been given back.

    Attributes:
        pool: the pool's name.
        resource: how the value given looks.
    """

    __module__ = "withal.pools"

    def __init__(self, pool: str, resource: str) -> None:
        self.pool = pool
        self.resource = resource
        super().__init__(pool, resource)

    def __str__(self) -> str:
        return (
            f"{self.resource} is not held from pool {self.pool!r}; pass the very object that "
            "acquire() has given, before its block ends"
        )


@final
class HeldTooLongWarning(UserWarning):
    """A resource has been held for longer than the pool's `held_too_long`."""

    __module__ = "withal.pools"


def _listed(holders: Sequence[Holder]) -> str:
    shown = ", ".join(map(str, holders[:_SHOWN]))
    more = len(holders) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
