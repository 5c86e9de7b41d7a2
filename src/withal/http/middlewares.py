"""The gate and the retries as middlewares of an `aiohttp.ClientSession`.

aiohttp calls them for each request of a chain of redirects, before it requests its connector for
a connection.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import final

import aiohttp

from withal.http.gate import HostGate
from withal.http.retry import BUSY_STATUSES, RetryBudget, RetryPolicy, seconds_announced

# Connection errors that the next attempt would raise again.
_LASTING = (
    aiohttp.ClientSSLError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientConnectorDNSError,
)


@final
class GateMiddleware:
    """Makes each request wait for a turn at a gate, and hold it until its response is released."""

    def __init__(self, gate: HostGate) -> None:
        self._gate = gate

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Pass one request on when it is its turn."""
        host = f"{request.url.host}:{request.url.port}"
        await self._gate.enter(host)
        try:
            response = await handler(request)
        except BaseException:
            self._gate.leave(host)
            raise
        self._pause_if_requested(host, response)  # before the next request has the turn
        if response.connection is None:  # the whole response was received
            self._gate.leave(host)
        else:
            response.connection.add_callback(partial(self._gate.leave, host))
        return response

    def _pause_if_requested(self, host: str, response: aiohttp.ClientResponse) -> None:
        """Pause the host if its response requests that."""
        if response.status in BUSY_STATUSES:
            header = response.headers.get("Retry-After")
            announced = seconds_announced(header, datetime.now(UTC))
            if announced:
                self._gate.pause(host, announced)


@final
class RetryMiddleware:
    """Repeats a request whose failure may be transient. It is outside of the gate."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._budget = RetryBudget(policy.budget, reserve=policy.reserve)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a request, and retry it as the policy allows."""
        policy = self._policy
        self._budget.earn()
        attempt = 1
        while True:
            announced: float | None = None
            try:
                response = await handler(request)
            except aiohttp.ClientConnectionError as error:
                if isinstance(error, _LASTING) or not self._may_follow(request, attempt):
                    raise
            else:
                if response.status not in policy.statuses or not self._may_follow(request, attempt):
                    return response
                header = response.headers.get("Retry-After")
                announced = seconds_announced(header, datetime.now(UTC))
                response.close()
            await asyncio.sleep(policy.pause(attempt, announced))
            attempt += 1

    def _may_follow(self, request: aiohttp.ClientRequest, attempt: int) -> bool:
        return (
            attempt < self._policy.attempts
            and request.method in self._policy.methods
            and not (request.body and request.body.consumed)
            and self._budget.spend()
        )
