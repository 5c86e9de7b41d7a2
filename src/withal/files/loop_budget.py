"""Turns: what is served without suspending gives the event loop its turn now and then.

A read served from memory never suspends, so a task that does nothing but such reads would starve
every other task of its loop. So whoever serves something inline takes what it cost off an
allowance, and pays before the next time: when the allowance is used up it looks at the clock, and
once `TURN` seconds are gone it lets the loop have a turn.

The allowance belongs to a thread and not to a task: in the turn in which it has been used up, all
other tasks yield, so that a thousand readers do not take a thousand times as long as one. And only
`TOGETHER` of these go on in the next turn, each with one operation, whatever is left by then. The
others keep their places in a line, so that to wait costs them once, and nobody starves.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from time import monotonic
from typing import final

TURN = 0.0005
"""How long, in seconds, inline work may go on before the loop gets a turn."""

GLANCE = 256 * 1024
"""How much is served between two looks at the clock: some 60 us of work, as bytes.

Copying out of the page cache takes about a microsecond for each 4 KiB.
"""

OPERATION = 16 * 1024
"""What an operation costs, in the same measure, besides its bytes: some 4 us of system calls."""

OPENING = 8 * 1024
"""What it costs to open a file that is then read and closed: some 2 us of system calls.

So as many small files as go on in one turn, `TOGETHER`, are read in it.
"""

AT_HAND = 1024
"""What it costs to take a line, or a few bytes, out of what was read ahead: some 0.25 us."""

READ = 4 * 1024
"""What a read costs, besides its bytes: one system call and what is around it."""

MISS = 64 * 1024
"""What it costs to find that something is not in memory: a disk is asked to read it ahead."""

TOGETHER = 16
"""How many tasks go on in one turn, after having waited for it."""


@final
class Turns:
    """The allowance of one thread.

    Attributes:
        left: what may still be served before the clock is looked at. Whoever serves something
            inline takes off its bytes, and `OPERATION` if system calls were made for it; and `MISS`
            if that was without success.

    Example:
        >>> import asyncio
        >>> async def main() -> int:
        ...     turns, served = turns_here(), 0
        ...     for _ in range(1000):
        ...         if turns.left < 0:
        ...             await turns.settle()  # before anything is changed: it can be cancelled
        ...         served += 1
        ...         turns.left -= OPERATION
        ...     return served
        >>> asyncio.run(main())
        1000
    """

    __slots__ = ("_giving", "_going_on", "_line", "_since", "left")

    def __init__(self) -> None:
        self.left: int = GLANCE
        self._since = monotonic()
        self._giving: asyncio.AbstractEventLoop | None = None  # a turn, which has not come yet
        self._going_on = 0  # how many tasks do in that turn
        self._line: deque[asyncio.Future[None]] = deque()  # of those that do later

    async def settle(self) -> None:
        """Renew the allowance, after a turn of the loop if one is due.

        Whether the loop had turns of its own meanwhile is not known, so one may be given that was
        not needed: at most one in `TURN` seconds. A cancellation is raised at once and costs
        nothing.
        """
        if self._giving is None and monotonic() - self._since < TURN:
            self.left = GLANCE
            return
        loop = asyncio.get_running_loop()
        if self._giving is not loop:  # another one may have stopped before it got its turn
            self._dissolve()
            self._give(loop)
        if self._going_on < TOGETHER:
            self._going_on += 1
            await asyncio.sleep(0)
        else:
            place = loop.create_future()
            self._line.append(place)
            await place

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop make its next turn a new one for those that serve."""
        self._giving = loop
        self._going_on = 0
        loop.call_soon(self._renew, loop)

    def _renew(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._giving is not loop:  # it had stopped, and another one has run since
            return
        self._giving = None
        self._since = monotonic()
        self.left = GLANCE
        if self._line:
            self._give(loop)  # to whoever comes now, behind those
            self._call_up()

    def _call_up(self) -> None:
        """Let the first in the line go on in the turn that is being given."""
        line = self._line
        while line and self._going_on < TOGETHER:
            place = line.popleft()
            if not place.done():  # else it was cancelled
                place.set_result(None)
                self._going_on += 1

    def _dissolve(self) -> None:
        """Let all in the line go on when their loop runs again, if it ever does."""
        line = self._line
        while line:
            place = line.popleft()
            if not place.done() and not place.get_loop().is_closed():
                place.set_result(None)


@final
class _Here(threading.local):
    def __init__(self) -> None:
        self.turns = Turns()


_here = _Here()


def turns_here() -> Turns:
    """Return the allowance of this thread, and so of the loop that runs in it."""
    return _here.turns
