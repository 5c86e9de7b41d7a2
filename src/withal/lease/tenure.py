"""Acquiring, renewing and releasing one lease, as a resource with a host.

The host acquires and releases it. A timer starts a short task for each renewal, so that no task
runs between renewals. When the lease is lost, a timer cancels the host; so the scope cancels the
body (law 8), and the exit raises `LeaseLostError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from types import TracebackType
from typing import TypeVar, final

from withal._core.managers import EmitsEvents
from withal.lease.claim import Claim, ClaimPhase
from withal.lease.clock import ClockOf, ClockTimer
from withal.lease.errors import LeaseLostError, LeaseServerError, LeaseTimeoutError
from withal.lease.protocol import Backend, LeaseOwner, LeaseRequest, Refused, Unreachable, key_of
from withal.lease.terms import Terms

T = TypeVar("T")

_RELEASE_SECONDS = 5.0  # seconds for which a release is retried, if the server does not answer
_GIVE_BACK_SECONDS = 1.0  # the same after a failed acquisition or a loss
_PAUSE_SECONDS = 0.1  # seconds between two attempts to release


@final
class Lease:
    """A lease that is held; `hold` yields it.

    Attributes:
        name: the name of the lease.
        token: its fencing token: greater than that of each earlier holder of this name. Send it
            with each write, and let the store reject a token lower than one it has seen.
        ttl: seconds that the lease lasts when it is not renewed.
    """

    __slots__ = ("_tenure", "name", "token", "ttl")

    def __init__(self, tenure: Tenure, name: str, token: int, ttl: float) -> None:
        self._tenure = tenure
        self.name: str = name
        self.token: int = token
        self.ttl: float = ttl

    def __repr__(self) -> str:
        return f"<withal.lease.Lease {self.name!r} token={self.token}>"

    @property
    def expires_in(self) -> float:
        """Seconds until it is lost if it is not renewed; 0.0 when it is lost."""
        return self._tenure.left

    def check(self) -> None:
        """Check that the lease is still held, without a request to the server.

        Call it before an effect, in code that has not awaited for some time. If the lease is lost,
        the body is also cancelled, at its next await.

        Raises:
            LeaseLostError: if it is lost, or was released.
        """
        self._tenure.check()


@final
class Tenure(EmitsEvents):
    """One acquisition of a lease; entered and exited in a host.

    Args:
        backend: the server's side.
        terms: name, `ttl` and timeout.
        owner: the requester.
        clock_of: creates the holder's clock.
    """

    def __init__(
        self, backend: Backend, terms: Terms, owner: LeaseOwner, clock_of: ClockOf
    ) -> None:
        self._backend = backend
        self._terms = terms
        self._owner = owner
        self._clock_of = clock_of
        self._connections = backend.connected()
        self._timer: ClockTimer | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._cause: BaseException | None = None
        self._is_leaving = False  # the body was cancelled, or has ended
        self._may_have_it = False  # the server may have stored a lease or a place for this claim

    def _delegate_events(self, name: str | None) -> tuple[str, str]:
        """Let the scope that enters this send its events."""
        return name or self._owner.name, "lease"

    @property
    def left(self) -> float:
        """Seconds for which it is certainly held."""
        claim = self._claim
        return max(0.0, claim.held_until - self._clock.now()) if claim.is_held else 0.0

    def check(self) -> None:
        """Check that it is still held."""
        self._look()
        if not self._claim.is_held:
            raise self._lost("it was released")

    async def __aenter__(self) -> Lease:
        host = asyncio.current_task()
        assert host is not None  # a scope enters this in a host
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._clock = self._clock_of(self._loop)
        self._claim = Claim(self._terms.ttl, self._terms.timeout, self._clock.now())
        await self._connections.__aenter__()
        try:
            self._request = self._new_request()
            await self._acquire()
        except BaseException:
            self._claim.end()
            await self._give_back()
            raise
        self._arm()
        return Lease(self, self._owner.name, self._claim.token, self._terms.ttl)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_leaving = True
        self._disarm()
        if self._claim.expire(self._clock.now()):
            await self._give_back()
            raise self._lost("") from self._cause
        until = self._claim.held_until + self._claim.margin
        self._claim.end()
        try:
            await self._end_renewal()
            await self._release(until)
        finally:
            await self._connections.__aexit__(None, None, None)

    # Acquiring

    def _new_request(self) -> LeaseRequest:
        name, ttl = self._terms.name, self._terms.ttl
        queues = self._terms.timeout > 0
        return LeaseRequest(
            key_of(name), self._backend.claim_id(), ttl, self._owner.to_json(), queues
        )

    async def _acquire(self) -> None:
        if await self._ask() is None:
            return
        async with self._backend.listening(self._request) as bell:
            # The request is repeated, since the lease may have become free before the bell existed.
            while (again_at := await self._ask()) is not None:
                await bell.wait(again_at - self._clock.now())

    async def _ask(self) -> float | None:
        """Send a request; return when to repeat it, or None if the lease is granted."""
        claim, now = self._claim, self._clock.now
        until = claim.asking(now())
        self._may_have_it = True
        try:
            answer = await self._answer(self._backend.ask(self._request), until)
        except Unreachable as error:
            return self._unanswered(error)
        if isinstance(answer, Refused):
            self._may_have_it = self._request.queues
            again_at = claim.refused(now(), answer.again_in)
            if again_at is None:
                raise self._late(answer)
            return again_at
        if claim.granted(now(), answer.token):
            return None
        return self._unanswered(
            Unreachable(f"its answers take more than a third of the ttl of {claim.ttl:g} s")
        )

    def _unanswered(self, error: Unreachable) -> float:
        again_at = self._claim.unanswered(self._clock.now())
        if again_at is None:
            cause = error.__cause__ or error
            problem = f"cannot acquire the lease {self._owner.name!r}: {error}"
            raise LeaseServerError(self._backend.server, problem) from cause
        return again_at

    def _late(self, answer: Refused) -> LeaseTimeoutError:
        reason = answer.problem or "it is the turn of another waiter"
        if answer.owner:
            reason = f"it is held by {LeaseOwner.from_json(answer.owner)}"
        return LeaseTimeoutError(self._owner.name, self._terms.timeout, reason, answer.ahead)

    async def _answer(self, step: Awaitable[T], until: float) -> T:
        """Wait for an answer until a time of the clock."""
        sent_at = self._clock.now()
        limit = asyncio.timeout(None)
        alarm = self._clock.call_at(until, lambda: limit.reschedule(self._loop.time()))
        try:
            async with limit:
                return await step
        except TimeoutError as error:
            if limit.expired():
                seconds = max(0.0, until - sent_at)
                raise Unreachable(f"it did not answer within {seconds:.3g} s") from error
            raise
        finally:
            alarm.cancel()

    # Keeping

    def _arm(self) -> None:
        """Set the timer for the next event: a renewal or the loss."""
        self._disarm()
        claim = self._claim
        when = claim.held_until
        if claim.phase is ClaimPhase.HELD:
            when = min(when, claim.next_renewal)
        self._timer = self._clock.call_at(when, self._look)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Check whether the lease is lost or has to be renewed."""
        claim, now = self._claim, self._clock.now()
        if claim.expire(now):
            self._have_body_leave()
        elif claim.is_held and not self._is_leaving:
            if claim.phase is ClaimPhase.HELD and now >= claim.next_renewal:
                self._start_renewal()
            self._arm()

    def _have_body_leave(self) -> None:
        self._disarm()
        if not self._is_leaving:
            self._is_leaving = True
            self._host.cancel()

    def _start_renewal(self) -> None:
        name = f"renewal of lease {self._owner.name!r}"
        self._until = self._claim.renewing(self._clock.now())
        self._renewal = self._loop.create_task(self._renew(), name=name)
        self._renewal.add_done_callback(self._renewal_ended)

    async def _renew(self) -> None:
        claim = self._claim
        try:
            renewal = self._backend.renew(self._request, claim.token)
            kept = await self._answer(renewal, self._until)
        except (Unreachable, LeaseServerError) as error:
            self._cause = error.__cause__ or error
            claim.not_renewed(self._clock.now(), str(error))
            return
        if kept:
            self._cause = None
            claim.renewed(self._clock.now())
        else:
            claim.denied(
                "the server does not have it any more: it expired there, was deleted, "
                "or the server has lost its data"
            )

    def _renewal_ended(self, task: asyncio.Task[None]) -> None:
        claim = self._claim
        if task.cancelled():  # at the end of asyncio.run(); the body may still need the lease
            claim.not_renewed(self._clock.now(), "the renewal was cancelled")
        elif (error := task.exception()) is not None:
            self._cause = error
            claim.denied(f"the renewal failed: {error!r}")
        self._look()

    def _lost(self, otherwise: str) -> LeaseLostError:
        claim = self._claim
        return LeaseLostError(self._owner.name, claim.token, claim.reason or otherwise)

    # Releasing

    async def _end_renewal(self) -> None:
        """Cancel a running renewal: its answer is not needed, but its connection is."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.wait((self._renewal,))

    async def _release(self, expires_at: float) -> None:
        """Release the lease; retry until the server answers or time is up."""
        until = min(self._clock.now() + _RELEASE_SECONDS, expires_at)
        while True:
            try:
                await self._answer(self._backend.withdraw(self._request), until)
            except Unreachable as error:
                if self._clock.now() + _PAUSE_SECONDS >= until:
                    raise self._not_released(error, expires_at) from error.__cause__
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    def _not_released(self, error: Unreachable, expires_at: float) -> LeaseServerError:
        left = max(0.0, expires_at - self._clock.now())
        return LeaseServerError(
            self._backend.server,
            f"cannot release the lease {self._owner.name!r}: {error}; "
            f"it expires in {left:.3g} s at most",
        )

    async def _give_back(self) -> None:
        """Withdraw the claim at the server; errors are ignored, since it expires in any case."""
        try:
            await self._end_renewal()
            if self._may_have_it:
                with suppress(Unreachable, LeaseServerError):
                    until = self._clock.now() + _GIVE_BACK_SECONDS
                    await self._answer(self._backend.withdraw(self._request), until)
        finally:
            await self._connections.__aexit__(None, None, None)
