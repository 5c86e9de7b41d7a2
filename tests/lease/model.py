"""A model of several machines and one server, in virtual time.

The server keeps its rows by `withal.lease.table` and a clock of its own, which begins elsewhere
and goes a little faster or slower. Between it and each machine, requests and answers are delayed
and lost. A machine can be paused: its timers do not fire, and no answer reaches it, until it goes
on.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import AbstractEventLoop
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from random import Random
from typing import final
from uuid import uuid4

from withal.lease import table
from withal.lease.clock import ClockTimer
from withal.lease.leases import Leases
from withal.lease.protocol import Granted, Holder, LeaseOwner, LeaseRequest, Refused, Unreachable
from withal.lease.table import Row


@final
@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is.

    Attributes:
        delay: seconds that a message takes, on average.
        loss: the share of messages that are lost.
        drift: how much faster the server's clock goes.
    """

    delay: float
    loss: float
    drift: float


@final
class Server:
    """The server: rows, a clock, and who is to be woken."""

    def __init__(self, random: Random, weather: Weather) -> None:
        self.random = random
        self.weather = weather
        self.rows: dict[str, Row] = defaultdict(Row)
        self.bells: dict[str, asyncio.Event] = {}
        self.is_down = False
        self._loop = asyncio.get_running_loop()
        self._start = random.uniform(0, 1e6)

    def now(self) -> float:
        return self._start + self._loop.time() * (1 + self.weather.drift)

    async def pass_message(self) -> None:
        """Take the time of a message, which may be lost: then nothing ever comes."""
        if self.random.random() < self.weather.loss:
            await asyncio.sleep(math.inf)
        await asyncio.sleep(self.random.expovariate(1 / self.weather.delay))

    async def restart(self, seconds: float, *, deletes: bool) -> None:
        """Be down for some time; the rows survive, or only the tokens."""
        self.is_down = True
        await asyncio.sleep(seconds)
        if deletes:
            until = self.now()  # nothing is granted until then: the rule of a server that forgets
            for key, row in self.rows.items():
                self.rows[key] = Row(token=row.token, until=max(until, row.until))
        self.is_down = False

    def wake(self, key: str) -> None:
        bell = self.bells.get(table.next_to_wake(self.rows[key], self.now()))
        if bell is not None:
            self._loop.call_later(self.random.expovariate(1 / self.weather.delay), bell.set)


@final
class Machine:
    """Where one holder runs. It is its clock too."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.pauses = 0
        self._loop = asyncio.get_running_loop()
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    def now(self) -> float:
        return self._loop.time()

    def clock(self, loop: AbstractEventLoop) -> Machine:
        return self

    def call_at(self, when: float, callback: Callable[[], object]) -> ClockTimer:
        """Call back at a time, or later if the machine is paused by then."""

        async def fire() -> None:
            await asyncio.sleep(when - self._loop.time())
            await self.runs()
            callback()

        return _Firing(self._loop.create_task(fire(), name="timer"))

    async def runs(self) -> None:
        """Wait until the machine is not paused."""
        await self._goes_on.wait()

    async def pause(self, seconds: float) -> None:
        self.pauses += 1
        self._goes_on.clear()
        await asyncio.sleep(seconds)
        self._goes_on.set()

    def leases(self) -> ModelLeases:
        return ModelLeases(self)


@final
class _Firing:
    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        self._task.cancel()


@final
class ModelLeases(Leases):
    """The leases of the model, as seen from one machine."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(_Model(machine), machine.clock)


@final
class _Model:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._server = machine.server

    @property
    def server(self) -> str:
        return "model"

    def connected(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    def claim_id(self) -> str:
        return uuid4().hex

    async def _reach(self) -> None:
        await self._machine.runs()
        await self._server.pass_message()
        if self._server.is_down:
            raise Unreachable("the server is down")

    async def _return(self) -> None:
        await self._server.pass_message()
        await self._machine.runs()

    async def ask(self, request: LeaseRequest) -> Granted | Refused:
        await self._reach()
        rows, now = self._server.rows, self._server.now()
        rows[request.key], answer = table.ask(rows[request.key], request, now, 1)
        await self._return()
        return answer

    async def renew(self, request: LeaseRequest, token: int) -> bool:
        await self._reach()
        row = table.renew(self._server.rows[request.key], request, token, self._server.now())
        if row is not None:
            self._server.rows[request.key] = row
        await self._return()
        return row is not None

    async def withdraw(self, request: LeaseRequest) -> None:
        await self._reach()
        rows = self._server.rows
        rows[request.key] = table.withdraw(rows[request.key], request, self._server.now())
        self._server.wake(request.key)
        await self._return()

    @asynccontextmanager
    async def listening(self, request: LeaseRequest) -> AsyncGenerator[_Bell]:
        event = asyncio.Event()
        self._server.bells[request.id] = event
        yield _Bell(event)
        del self._server.bells[request.id]

    async def holders(self) -> tuple[Holder, ...]:
        now = self._server.now()
        return tuple(
            LeaseOwner.from_json(row.owner).holder(row.token, now - row.since, row.until - now)
            for row in self._server.rows.values()
            if row.until > now
        )


@final
class _Bell:
    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
