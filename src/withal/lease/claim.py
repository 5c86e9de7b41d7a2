"""One claim of a lease on the holder's side, as a state machine.

It never waits and has no clock: `Tenure` passes in each event with its time, and carries out the
decisions that the methods return. All times are seconds of the holder's own clock, which never
jumps. Times of the server are not used.

Safety depends on one inequality. The server counts the `ttl` from the time when it handles a
request, which is later than the time when the holder sent it. So no other holder can have the lease
until `ttl` seconds after sending. The holder stops some time (the margin) before that, since its
loop may need time to stop the body.

| from | by | to |
|---|---|---|
| NEW, WAITING | `asking` | ASKING |
| ASKING | `refused`, `unanswered` | WAITING, or ENDED at the timeout |
| ASKING | `granted` | HELD, or ASKING if the answer came too late |
| HELD | `renewing` | RENEWING |
| RENEWING | `renewed`, `not_renewed` | HELD |
| HELD, RENEWING | `denied`, `expire` | LOST |
| all but LOST | `end` | ENDED |
"""

from __future__ import annotations

import enum
from typing import final

MIN_TTL_SECONDS = 1.0
"""The shortest `ttl` in seconds: a shorter one leaves no time for a slow loop or a lost packet."""

MIN_MARGIN_SECONDS = 0.2
"""The minimum of the margin: the seconds before its end at which a lease counts as lost."""

MAX_MARGIN_SECONDS = 5.0
"""The maximum of the margin, in seconds."""

_REQUEST_SECONDS = 5.0  # seconds that one request may take
_LAST_REQUEST_SECONDS = (
    1.0  # seconds that a request may take at least, if it was sent before the timeout
)
_SILENCE_SECONDS = 5.0  # seconds without an answer of the server after which a claim fails
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between requests that are not answered


@final
class ClaimPhase(enum.Enum):
    """The phase of a claim."""

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
        timeout: seconds to wait for it; 0 sends one request, and infinity waits without end.
        now: the time.

    Attributes:
        phase: its phase.
        token: the fencing token, when it has the lease.
        held_until: the time until which the body may run.
        next_renewal: the time at which to begin a renewal.
        reason: the reason for its loss.
    """

    def __init__(self, ttl: float, timeout: float, now: float) -> None:
        self.phase: ClaimPhase = ClaimPhase.NEW
        self.ttl = ttl
        self.margin: float = min(max(ttl / 10, MIN_MARGIN_SECONDS), MAX_MARGIN_SECONDS)
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
        """Whether the lease is held, according to the last event."""
        return self.phase is ClaimPhase.HELD or self.phase is ClaimPhase.RENEWING

    # Acquiring

    def asking(self, now: float) -> float:
        """Begin a request; return the time until which to wait for the answer."""
        self.phase = ClaimPhase.ASKING
        self._sent_at = now
        left = self._give_up_at - now
        return now + (
            _REQUEST_SECONDS
            if self._timeout == 0
            else min(_REQUEST_SECONDS, max(left, _LAST_REQUEST_SECONDS))
        )

    def granted(self, now: float, token: int) -> bool:
        """Record that it was granted; return false if too little is left, to request it again."""
        if now >= self._sent_at + self.ttl / 3:
            return False
        self._answered_at = now
        self._pause = _FIRST_PAUSE
        self.phase = ClaimPhase.HELD
        self.token = token
        self._keep_until(self._sent_at + self.ttl - self.margin)
        return True

    def refused(self, now: float, again_in: float) -> float | None:
        """Return when to ask again, unless a wake-up comes earlier; None if the time is up."""
        self._answered_at = now
        self._pause = _FIRST_PAUSE
        return self._wait_until(now, now + again_in)

    def unanswered(self, now: float) -> float | None:
        """Return when to ask again after a request without an answer; None if the claim fails."""
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        if now - self._answered_at >= _SILENCE_SECONDS:
            self.phase = ClaimPhase.ENDED
            return None
        return self._wait_until(now, now + pause)

    def _wait_until(self, now: float, until: float) -> float | None:
        if now >= self._give_up_at:
            self.phase = ClaimPhase.ENDED
            return None
        self.phase = ClaimPhase.WAITING
        return min(until, self._give_up_at)

    # Keeping

    def renewing(self, now: float) -> float:
        """Begin a renewal; return the time until which to wait for the answer."""
        self.phase = ClaimPhase.RENEWING
        self._sent_at = now
        return min(now + self.ttl / 6, self.held_until)

    def renewed(self, now: float) -> None:
        """Extend the lease, unless the answer came too late."""
        if self.phase is not ClaimPhase.RENEWING:
            return
        self._answered_at = now
        self._pause = _FIRST_PAUSE
        self._trouble = ""
        self.phase = ClaimPhase.HELD
        self._keep_until(self._sent_at + self.ttl - self.margin)

    def not_renewed(self, now: float, trouble: str) -> None:
        """Schedule another renewal soon, since the server did not answer."""
        if self.phase is not ClaimPhase.RENEWING:
            return
        self.phase = ClaimPhase.HELD
        self._trouble = trouble
        self.next_renewal = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE, self.ttl / 10)

    def denied(self, reason: str) -> None:
        """Record the loss: according to the server, the claim does not have the lease any more."""
        if self.is_held:
            self._lose(reason)

    def expire(self, now: float) -> bool:
        """Record the loss if it has not been renewed in time; return whether it is lost."""
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
        return self.phase is ClaimPhase.LOST

    def end(self) -> None:
        """Record that it is released or withdrawn."""
        if self.phase is not ClaimPhase.LOST:
            self.phase = ClaimPhase.ENDED

    def _keep_until(self, held_until: float) -> None:
        self.held_until = held_until
        self.next_renewal = self._sent_at + self.ttl / 3

    def _lose(self, reason: str) -> None:
        self.phase = ClaimPhase.LOST
        self.reason = reason
