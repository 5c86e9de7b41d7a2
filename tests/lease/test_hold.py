"""Holding a lease: in a scope and without, lost in time, cancelled, asked for twice."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lease.model import Machine, ModelLeases, Server, Weather
from withal import AlreadyEnteredError, Outcome, Scope, observing, resource
from withal.lease import (
    FileLeases,
    Lease,
    LeaseDeadlockError,
    LeaseLostError,
    LeaseServerError,
    LeaseTimeoutError,
)
from withal.lease.clock import LoopClock
from withal.lease.protocol import LeaseRequest
from withal.ledger import Ledger
from withal.testing import run

CLEAR = Weather(delay=1e-4, loss=0, drift=0)


def model() -> tuple[Server, Machine, ModelLeases]:
    server = Server(Random(1), CLEAR)
    machine = Machine(server)
    return server, machine, machine.leases()


async def use(leases: ModelLeases) -> int:
    async with leases.hold("nightly", ttl=3) as lease:
        return lease.token


async def wait_forever() -> None:
    await asyncio.get_running_loop().create_future()


# Lost in time


@pytest.mark.parametrize("how", ["in a scope", "inline", "plain", "declared"])
def test_a_lease_that_cannot_be_renewed_cancels_the_body_before_its_end(how: str) -> None:
    async def main() -> None:
        server, machine, leases = model()
        left = []

        async def body() -> None:
            start = machine.now()
            server.is_down = True
            try:
                await wait_forever()
            finally:
                left.append(machine.now() - start)

        @resource
        async def nightly() -> AsyncGenerator[Lease]:
            async with leases.hold("nightly", ttl=30) as lease:
                yield lease

        with pytest.raises(LeaseLostError, match=r"not renewed for 27 s \(the server is down\)"):
            if how == "plain":
                async with leases.hold("nightly", ttl=30):
                    await body()
            else:
                async with Scope("app") as scope:
                    if how == "declared":
                        await scope.open(nightly)
                    else:
                        hold = leases.hold("nightly", ttl=30)
                        await scope.enter(hold, inline=how == "inline")
                    await body()
        assert 26.9 < left[0] <= 27
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())


def test_a_lease_is_renewed_each_third_of_its_ttl_and_kept() -> None:
    async def main() -> None:
        _server, machine, leases = model()
        asked = []
        renew = leases._backend.renew

        async def count(request: LeaseRequest, token: int) -> bool:
            asked.append(round(machine.now()))
            return await renew(request, token)

        leases._backend.renew = count  # type: ignore[method-assign]
        async with leases.hold("nightly", ttl=30) as lease:
            await asyncio.sleep(100)
            assert 20 < lease.expires_in <= 27
            lease.check()
        assert asked == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100][: len(asked)]
        assert len(asked) >= 9

    run(main())


def test_a_deleted_row_is_reported_at_the_next_renewal() -> None:
    async def main() -> None:
        server, _, leases = model()
        with pytest.raises(LeaseLostError, match="does not have it any more"):
            async with leases.hold("nightly", ttl=30):
                server.rows.clear()
                await wait_forever()

    run(main())


def test_a_machine_that_was_stopped_finds_out_when_it_goes_on() -> None:
    async def main() -> None:
        server, machine, leases = model()
        other = Machine(server).leases()
        with pytest.raises(LeaseLostError, match="the process was stopped"):
            async with leases.hold("nightly", ttl=3) as lease:
                pause = asyncio.create_task(machine.pause(20))
                assert await asyncio.create_task(use(other)) > lease.token
                assert machine.now() < 5
                await pause
                await wait_forever()

    run(main())


def test_check_raises_in_code_that_did_not_await() -> None:
    async def main() -> None:
        _, _machine, leases = model()
        loop = asyncio.get_running_loop()
        with pytest.raises(LeaseLostError):
            async with leases.hold("nightly", ttl=30) as lease:
                loop._virtual.now += 31  # type: ignore[attr-defined]  # as time.sleep does
                assert lease.expires_in == 0
                with pytest.raises(LeaseLostError, match="its event loop blocked"):
                    lease.check()
                await wait_forever()

    run(main())


def test_a_body_that_fails_while_it_leaves_is_raised_with_the_loss() -> None:
    async def main() -> None:
        server, _, leases = model()
        with pytest.raises(ExceptionGroup) as caught:
            async with leases.hold("nightly", ttl=30):
                server.is_down = True
                try:
                    await wait_forever()
                finally:
                    raise ValueError("unfinished")
        kinds = [type(error) for error in caught.value.exceptions]
        assert kinds == [ValueError, LeaseLostError]

    run(main())


def test_a_body_that_ends_beyond_its_time_is_reported() -> None:
    async def main() -> None:
        _, _, leases = model()
        loop = asyncio.get_running_loop()
        with pytest.raises(LeaseLostError):
            async with leases.hold("nightly", ttl=30):
                loop._virtual.now += 31  # type: ignore[attr-defined]

    run(main())


def test_check_after_the_release_says_so() -> None:
    async def main() -> None:
        _, _, leases = model()
        async with leases.hold("nightly") as lease:
            pass
        assert lease.expires_in == 0
        with pytest.raises(LeaseLostError, match="it was released"):
            lease.check()

    run(main())


# Cancelled


def test_a_cancelled_wait_holds_nothing() -> None:
    async def main() -> None:
        server, _, leases = model()

        async def wait() -> None:
            async with leases.hold("nightly"):
                pytest.fail("it is held by another")

        async with leases.hold("nightly", ttl=30):
            waiter = asyncio.create_task(wait())
            await asyncio.sleep(1)
            assert len(server.rows["nightly"].places) == 1
            waiter.cancel()
            with suppress(asyncio.CancelledError):
                await waiter
            assert len(server.rows["nightly"].places) == 0

    run(main())


def test_a_cancelled_body_releases() -> None:
    async def main() -> None:
        _, _, leases = model()
        held = asyncio.Event()

        async def hold() -> None:
            async with leases.hold("nightly", ttl=30):
                held.set()
                await wait_forever()

        holder = asyncio.create_task(hold())
        await held.wait()
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder
        async with leases.hold("nightly", timeout=0):
            pass

    run(main())


def test_a_release_that_cannot_reach_the_server_is_bounded() -> None:
    async def main() -> None:
        server, machine, leases = model()
        start = 0.0
        with pytest.raises(LeaseServerError, match=r"cannot release .* in 25\.\d s at most"):
            async with leases.hold("nightly", ttl=30):
                server.is_down = True
                start = machine.now()
        assert 4.5 < machine.now() - start < 5.5

    run(main())


def test_a_release_survives_a_restart_of_the_server() -> None:
    async def main() -> None:
        server, _, leases = model()
        async with leases.hold("nightly", ttl=30):
            restart = asyncio.create_task(server.restart(2, deletes=False))
            await asyncio.sleep(0)
        await restart
        async with leases.hold("nightly", timeout=0):
            pass

    run(main())


def test_a_loop_that_shuts_down_lets_what_uses_the_lease_close_first() -> None:
    server: list[Server] = []
    tasks: list[asyncio.Task[None]] = []
    steps = []

    async def main() -> None:
        made, _, leases = model()
        server.append(made)
        leases._clock_of = LoopClock  # whose timers, unlike the model's, are no tasks

        async def flush(lease: Lease) -> None:
            await asyncio.sleep(3)  # its renewals go on
            lease.check()
            steps.append("flushed")

        async def work() -> None:
            async with Scope("app") as scope:
                lease = await scope.enter(leases.hold("nightly", ttl=2))
                scope.defer(flush, lease)
                await wait_forever()

        tasks.append(asyncio.create_task(work()))  # which the loop's end cancels
        await asyncio.sleep(1)

    run(main())
    assert steps == ["flushed"]
    assert server[0].rows["nightly"].id == ""


# Asked for twice


@pytest.mark.parametrize("how", ["plain", "scope", "scope, then plain", "together"])
def test_two_leases_of_one_name_in_one_task_are_a_deadlock(how: str) -> None:
    async def main() -> None:
        _, _, leases = model()
        with pytest.raises(LeaseDeadlockError, match=r"already, at .*test_hold\.py:\d+"):
            async with Scope("app") as scope:
                if how == "plain":
                    async with leases.hold("a"), leases.hold("a"):
                        pass
                elif how == "together":
                    await scope.enter_all(leases.hold("a"), leases.hold("a"))
                else:
                    await scope.enter(leases.hold("a"))
                    if how == "scope":
                        await scope.enter(leases.hold("a", timeout=0))
                    async with leases.hold("a"):
                        pass
        async with leases.hold("a", timeout=0):
            pass  # it was released

    run(main())


def test_two_names_or_two_tasks_are_none() -> None:
    async def main() -> None:
        _, _, leases = model()

        async def other() -> None:
            async with leases.hold("a", timeout=0):
                pytest.fail("it is held")

        async with leases.hold("a"), leases.hold("b"):
            with pytest.raises(LeaseTimeoutError):
                await asyncio.create_task(other())

    run(main())


def test_a_hold_serves_once() -> None:
    async def main() -> None:
        _, _, leases = model()
        hold = leases.hold("a")
        async with hold:
            pass
        with pytest.raises(AlreadyEnteredError):
            async with hold:
                pass

    run(main())


# Who holds what


def test_a_holder_is_named_with_process_task_and_line() -> None:
    async def main() -> None:
        _, _, leases = model()
        task = asyncio.current_task()
        assert task is not None
        task.set_name("the job")
        async with Scope("app") as scope:
            lease = await scope.enter(leases.hold("nightly", ttl=30))
            await asyncio.sleep(5)
            (holder,) = await leases.holders()
            assert (holder.name, holder.token) == ("nightly", lease.token)
            assert (holder.process, holder.task) == (os.getpid(), "the job")
            assert re.search(r"test_hold\.py:\d+$", holder.line)
            assert (round(holder.held_for), round(holder.expires_in)) == (5, 25)
        assert await leases.holders() == ()

    run(main())


def test_a_timeout_says_who_holds_it_and_how_many_wait() -> None:
    async def main() -> None:
        server, _, leases = model()

        async def wait() -> None:
            async with Machine(server).leases().hold("nightly", timeout=2):
                pytest.fail("it is held")

        async with leases.hold("nightly"):
            first = asyncio.create_task(wait())
            await asyncio.sleep(1)
            with pytest.raises(LeaseTimeoutError) as caught:
                await asyncio.create_task(wait())
            assert caught.value.timeout == 2
            assert f"process {os.getpid()}" in str(caught.value)
            with pytest.raises(LeaseTimeoutError):
                await first

    run(main())


def test_it_is_in_the_ledger_as_a_lease_that_was_lost() -> None:
    ledger = Ledger()

    async def main() -> None:
        server, _, leases = model()
        with suppress(LeaseLostError):
            async with Scope("app") as scope:
                await scope.enter(leases.hold("nightly"))
                server.is_down = True
                await wait_forever()

    with observing(ledger):
        run(main())
    (record,) = [each for each in ledger.records if each.kind == "lease"]
    assert (record.name, record.scope, record.outcome) == ("nightly", ("app",), Outcome.ERROR)
    assert not ledger.leaked()


# Bad input


def test_what_is_wrong_is_said_at_the_call(tmp_path: Path) -> None:
    leases: Any = FileLeases(tmp_path)
    cases: list[tuple[type[Exception], str, object, dict[str, object]]] = [
        (ValueError, "is empty", "", {}),
        (TypeError, "must be a str, got 7", 7, {}),
        (TypeError, "must be a str, got b'a'", b"a", {}),
        (ValueError, "ttl must be 1 s or more; got 0.999", "a", {"ttl": 0.999}),
        (ValueError, "ttl must be 1 s or more; got -1", "a", {"ttl": -1}),
        (ValueError, "ttl must be 1 s or more; got nan", "a", {"ttl": float("nan")}),
        (ValueError, "ttl must be 1 s or more; got inf", "a", {"ttl": float("inf")}),
        (ValueError, "ttl must be 1 s or more; got '30'", "a", {"ttl": "30"}),
        (ValueError, "ttl must be 1 s or more; got True", "a", {"ttl": True}),
        (ValueError, "timeout must be zero or more seconds", "a", {"timeout": -1}),
        (ValueError, "timeout must be zero or more seconds", "a", {"timeout": "x"}),
    ]
    for error, words, name, options in cases:
        with pytest.raises(error, match=re.escape(words)):
            leases.hold(name, **options)
    leases.hold("a", ttl=1, timeout=0)


def test_a_server_that_is_down_is_an_error_within_seconds() -> None:
    async def main() -> None:
        server, machine, leases = model()
        server.is_down = True
        with pytest.raises(LeaseServerError, match=r"cannot acquire .* the server is down"):
            async with leases.hold("a", timeout=0):
                pass
        assert machine.now() < 1.5
        with pytest.raises(LeaseServerError):
            async with leases.hold("a"):
                pass
        assert machine.now() < 8

    run(main())


def test_answers_that_take_too_long_for_the_ttl_are_an_error() -> None:
    async def main() -> None:
        server, _, leases = model()
        server.weather = Weather(delay=1, loss=0, drift=0)
        server.random.expovariate = lambda lambd: 0.4  # type: ignore[method-assign]
        with pytest.raises(LeaseServerError, match="more than a third of the ttl of 1 s"):
            async with leases.hold("a", ttl=1):
                pass

    run(main())
