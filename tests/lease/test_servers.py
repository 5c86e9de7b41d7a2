"""What leases promise, at each kind of server: real ones, of the machine's packages."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

import pytest

from tests.lease.conftest import Make
from withal import Scope
from withal.lease import Lease, LeaseLostError, LeaseTimeoutError
from withal.lease.leases import Leases

pytestmark = pytest.mark.slow

NAMES = ["..", "/", "a/b", "\0", "ü" * 300, "\ud800", "{a}:*?'\"; DROP", "x" * 5000]


@pytest.fixture
def name() -> str:
    return uuid4().hex


async def until_waiting(leases: Leases, seconds: float = 0.1) -> None:
    await asyncio.sleep(seconds)


async def test_one_holds_it_and_others_get_it_in_order(make_leases: Make, name: str) -> None:
    first_leases, leases = make_leases(), make_leases()
    tokens = []
    order = []

    async def wait(number: int) -> None:
        async with leases.hold(name, timeout=20) as lease:
            order.append(number)
            tokens.append(lease.token)

    async with first_leases.hold(name) as lease:
        tokens.append(lease.token)
        waiters = []
        for number in range(4):
            waiters.append(asyncio.create_task(wait(number)))
            await until_waiting(leases)
        assert not order
    await asyncio.gather(*waiters)
    assert order == [0, 1, 2, 3]
    assert tokens == sorted(set(tokens))


async def test_it_is_never_held_twice(make_leases: Make, name: str) -> None:
    leases = [make_leases() for _ in range(3)]
    holding: list[int] = []
    tokens = []

    async def use(number: int) -> None:
        for _ in range(5):
            async with leases[number % 3].hold(name, timeout=60) as lease:
                holding.append(number)
                tokens.append(lease.token)
                await asyncio.sleep(0.001)
                assert holding == [number]
                holding.remove(number)

    async with leases[0], leases[1], leases[2]:
        await asyncio.gather(*(use(number) for number in range(6)))
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 30


async def test_a_single_try_says_who_holds_it(make_leases: Make, name: str) -> None:
    leases = make_leases()

    async def try_once() -> None:
        async with leases.hold(name, timeout=0):
            pytest.fail("it is held")

    async with leases.hold(name):
        with pytest.raises(LeaseTimeoutError, match=r"held by process \d+ on .*test_servers"):
            await asyncio.create_task(try_once())
        (holder,) = [each for each in await leases.holders() if each.name == name]
        assert 29 < holder.expires_in <= 30
        assert 0 <= holder.held_for < 1
    assert not [each for each in await leases.holders() if each.name == name]


async def test_a_cancelled_wait_leaves_nothing(make_leases: Make, name: str) -> None:
    leases = make_leases()

    async def wait() -> None:
        async with leases.hold(name):
            pytest.fail("it is held")

    async with leases.hold(name):
        waiter = asyncio.create_task(wait())
        await until_waiting(leases)
        waiter.cancel()
        with suppress(asyncio.CancelledError):
            await waiter
    async with leases.hold(name, timeout=0):
        pass


async def test_a_cancelled_body_releases(make_leases: Make, name: str) -> None:
    leases = make_leases()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), leases.hold(name):
            await asyncio.sleep(60)
    async with leases.hold(name, timeout=0):
        pass


@pytest.mark.slow
async def test_it_is_renewed_for_as_long_as_it_is_needed(make_leases: Make, name: str) -> None:
    leases = make_leases()
    async with Scope("app") as scope:
        lease: Lease = await scope.enter(leases.hold(name, ttl=1))
        for _ in range(5):
            await asyncio.sleep(0.5)
            lease.check()


@pytest.mark.slow
async def test_a_withdrawn_lease_is_lost_at_the_next_renewal(make_leases: Make, name: str) -> None:
    leases = make_leases()
    with pytest.raises(LeaseLostError, match="does not have it"):
        async with leases.hold(name, ttl=1) as lease:
            await leases._backend.withdraw(lease._tenure._request)
            await asyncio.sleep(5)


async def test_names_with_any_character(make_leases: Make) -> None:
    leases = make_leases()
    async with leases:
        for name in NAMES:
            async with leases.hold(name):
                assert name in [each.name for each in await leases.holders()]


async def test_connections_are_kept_between_uses_on_request(make_leases: Make, name: str) -> None:
    async with make_leases() as leases:
        tokens = []
        for _ in range(10):
            async with leases.hold(name) as lease:
                tokens.append(lease.token)
    assert tokens == sorted(set(tokens))
