"""One claim of a lease on the holder's side: a state machine, times in and decisions out.

It never waits and has no clock: `Tenure` tells it what happened and when, and does what it says.
All times are seconds of the holder's own clock, which never jumps; the server's times never enter.

What makes it safe is one inequality. The server counts the `ttl` from when it handles a request,
which is later than when the holder sent it. So until `ttl` seconds after sending, no other holder
can have the lease. The holder stops a margin before that, since its loop may be slow to stop the
body.

| from | by | to |
|---|---|---|
| NEW, WAITING | `asking` | ASKING |
| ASKING | `refused`, `unanswered` | WAITING, or ENDED at the timeout |
| ASKING | `granted` | HELD, or as before if the answer came too late to be of use |
| HELD | `renewing` | RENEWING |
| RENEWING | `renewed`, `not_renewed` | HELD |
| HELD, RENEWING | `denied`, `expire` | LOST |
| all but LOST | `end` | ENDED |
"""

from __future__ import annotations

import enum
from typing import final

LEAST_TTL = 1.0
"""Seconds that a lease lasts at least: less leaves no time for a slow loop or a lost packet."""

LEAST_MARGIN = 0.2
"""Seconds before its end, at least, at which a lease is given up."""

MOST_MARGIN = 5.0
"""Seconds before its end, at most, at which a lease is given up."""

_ASK_LIMIT = 5.0  # seconds that one request may take
_LAST_ASK = 1.0  # seconds that a request which began in time may take at least
_PATIENCE = 5.0  # seconds that a server may not answer before a claim that waits gives up
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between requests that are not answered


@final
class Phase(enum.Enum):
    """Where a claim stands."""

    NEW = "new"
    WAITING = "waiting"
    ASKING = "asking"
    HELD = "held"
    RENEWING = "renewing"
    LOST = "lost"
    ENDED = "ended"


@final
class Claim:
    """The state of one claim.

    Args:
        ttl: seconds that the lease lasts at the server.
        timeout: seconds to wait for it; 0 asks once, and infinity waits without end.
        now: the time.

    Attributes:
        phase: where it stands.
        token: the fencing token, once it has the lease.
        held_until: until when the body may run.
        next_renewal: when to begin a renewal.
        reason: why it was lost.
    """

    def __init__(self, ttl: float, timeout: float, now: float) -> None:
        self.phase: Phase = Phase.NEW
        self.ttl = ttl
        self.margin: float = min(max(ttl / 10, LEAST_MARGIN), MOST_MARGIN)
        self.token: int = 0
        self.held_until: float = now
        self.next_renewal: float = now
        self.reason: str = ""
        self._timeout = timeout
        self._give_up_at = now + timeout
        self._sent_at = now
        self._answered_at = now
        self._pause = _FIRST_PAUSE
        self._trouble = ""

    @property
    def is_held(self) -> bool:
        """Whether the body may run, as far as is known."""
        return self.phase is Phase.HELD or self.phase is Phase.RENEWING

    # Acquiring

    def asking(self, now: float) -> float:
        """Begin to ask; return until when the answer is waited for."""
        self.phase = Phase.ASKING
        self._sent_at = now
        left = self._give_up_at - now
        return now + (_ASK_LIMIT if self._timeout == 0 else min(_ASK_LIMIT, max(left, _LAST_ASK)))

    def granted(self, now: float, token: int) -> bool:
        """Take the lease; false if so little of it is left that it has to be asked for again."""
        if now >= self._sent_at + self.ttl / 3:
            return False
        self._answered_at = now
        self._pause = _FIRST_PAUSE
        self.phase = Phase.HELD
        self.token = token
        self._keep_until(self._sent_at + self.ttl - self.margin)
        return True

    def refused(self, now: float, again_in: float) -> float | None:
        """Return when to ask again, if nothing rings before; None if the time is up."""
        self._answered_at = now
        self._pause = _FIRST_PAUSE
        return self._wait_until(now, now + again_in)

    def unanswered(self, now: float) -> float | None:
        """Return when to ask again, after a request that was not answered; None to give up."""
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        if now - self._answered_at >= _PATIENCE:
            self.phase = Phase.ENDED
            return None
        return self._wait_until(now, now + pause)

    def _wait_until(self, now: float, until: float) -> float | None:
        if now >= self._give_up_at:
            self.phase = Phase.ENDED
            return None
        self.phase = Phase.WAITING
        return min(until, self._give_up_at)

    # Keeping

    def renewing(self, now: float) -> float:
        """Begin to renew; return until when the answer is waited for."""
        self.phase = Phase.RENEWING
        self._sent_at = now
        return min(now + self.ttl / 6, self.held_until)

    def renewed(self, now: float) -> None:
        """Hold it for longer, unless the answer came too late to be of use."""
        if self.phase is not Phase.RENEWING:
            return
        self._answered_at = now
        self._pause = _FIRST_PAUSE
        self._trouble = ""
        self.phase = Phase.HELD
        self._keep_until(self._sent_at + self.ttl - self.margin)

    def not_renewed(self, now: float, trouble: str) -> None:
        """Try again soon: the server did not answer."""
        if self.phase is not Phase.RENEWING:
            return
        self.phase = Phase.HELD
        self._trouble = trouble
        self.next_renewal = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE, self.ttl / 10)

    def denied(self, reason: str) -> None:
        """Lose it: the server says that the claim does not have it any more."""
        if self.is_held:
            self._lose(reason)

    def expire(self, now: float) -> bool:
        """Lose it if it has not been renewed in time; tell whether it is lost."""
        if self.is_held and now >= self.held_until:
            late = now - self.held_until
            if late > self.margin / 2:
                self._lose(
                    "the process was stopped, or its event loop blocked, until "
                    f"{late:.3g} s after it had to be renewed"
                )
            else:
                silent = now - self._answered_at
                why = self._trouble or "no answer to a renewal"
                self._lose(f"it was not renewed for {silent:.3g} s ({why})")
        return self.phase is Phase.LOST

    def end(self) -> None:
        """Give it up by choice."""
        if self.phase is not Phase.LOST:
            self.phase = Phase.ENDED

    def _keep_until(self, held_until: float) -> None:
        self.held_until = held_until
        self.next_renewal = self._sent_at + self.ttl / 3

    def _lose(self, reason: str) -> None:
        self.phase = Phase.LOST
        self.reason = reason
