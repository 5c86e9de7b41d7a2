"""Virtual time: what moves the clock, what holds it, and what ends a deadlock."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from tests.laws.probes import Log, Probe, forever
from withal import CloseTimeoutError, Scope, Step, observing, testing
from withal.ledger import Ledger


def now() -> float:
    return asyncio.get_running_loop().time()


def virtual_loop() -> testing.VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, testing.VirtualTimeLoop)
    return loop


@pytest.mark.parametrize("seconds", [0, 1e-6, 0.1, 3600, 10 * 86400])
def test_sleeping_takes_no_real_time(seconds: float) -> None:
    async def main() -> float:
        await asyncio.sleep(seconds)
        return now()

    assert testing.run(main()) == seconds  # a real sleep would run into the test's own timeout


def test_a_thousand_naps_add_up() -> None:
    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0.1)
        return now()

    assert testing.run(main()) == pytest.approx(100)


def test_a_busy_wait_for_a_timer_ends() -> None:
    async def main() -> float:
        rung = asyncio.Event()
        asyncio.get_running_loop().call_later(5, rung.set)
        while not rung.is_set():
            await asyncio.sleep(0)
        return now()

    assert testing.run(main()) == pytest.approx(5, abs=0.01)


def test_turns_that_are_not_very_many_take_no_time() -> None:
    async def main() -> float:
        for _ in range(3):
            for _ in range(9_000):
                await asyncio.sleep(0)
            await asyncio.sleep(1)
        return now()

    assert testing.run(main()) == 3


def test_timers_fire_in_order_and_at_their_times() -> None:
    async def main() -> list[tuple[str, float]]:
        fired: list[tuple[str, float]] = []
        loop = asyncio.get_running_loop()

        def note(name: str) -> None:
            fired.append((name, now()))

        for name, seconds in [("c", 3), ("a", 1), ("b", 2), ("also b", 2)]:
            loop.call_later(seconds, note, name)
        await asyncio.sleep(10)
        return fired

    assert testing.run(main()) == [("a", 1), ("b", 2), ("also b", 2), ("c", 3)]


def test_a_timer_that_was_cancelled_takes_no_time() -> None:
    async def main() -> float:
        asyncio.get_running_loop().call_later(3600, print).cancel()
        await asyncio.sleep(1)
        return now()

    assert testing.run(main()) == 1


def test_time_stands_still_while_anything_is_ready() -> None:
    async def main() -> float:
        asyncio.get_running_loop().call_later(1, print)
        for _ in range(1000):
            await asyncio.sleep(0)
        return now()

    assert testing.run(main()) == 0


async def in_timeout() -> None:
    async with asyncio.timeout(5):
        await forever()


async def in_wait_for() -> None:
    await asyncio.wait_for(forever(), 5)


@pytest.mark.parametrize("wait", [in_timeout, in_wait_for])
def test_timeouts_run_out_at_their_time(wait: Callable[[], Awaitable[None]]) -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await wait()
        return now()

    assert testing.run(main()) == 5


def test_debug_mode_is_passed_on() -> None:
    async def main() -> bool:
        await asyncio.sleep(60)
        return asyncio.get_running_loop().get_debug()

    assert testing.run(main(), debug=True)


def test_it_does_not_run_within_a_running_loop() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="one is running in this thread"):
            testing.run(asyncio.sleep(0))

    testing.run(main())


# Threads


def test_a_call_in_a_thread_takes_no_time() -> None:
    gate = threading.Event()

    async def main() -> list[str]:
        ended: list[str] = []

        async def call() -> None:
            assert await asyncio.to_thread(gate.wait, 60)
            ended.append(f"call at {now():g}")

        async def nap() -> None:
            await asyncio.sleep(0.001)  # less than the call really takes
            ended.append(f"nap at {now():g}")

        async with asyncio.TaskGroup() as group:
            group.create_task(nap())
            group.create_task(call())
            timer.start()
        return ended

    timer = threading.Timer(0.05, gate.set)
    assert testing.run(main()) == ["call at 0", "nap at 0.001"]
    timer.join()


def test_a_call_in_a_thread_that_waits_for_a_timer_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("withal.testing.loop._CALL_SECONDS", 0.01)
    gate = threading.Event()

    async def main() -> float:
        asyncio.get_running_loop().call_later(0.001, gate.set)
        assert await asyncio.to_thread(gate.wait, 60)
        return now()

    assert testing.run(main()) == 0.001


def test_an_abandoned_call_in_a_thread_does_not_stop_the_time() -> None:
    gate = threading.Event()

    async def main() -> float:
        call = asyncio.ensure_future(asyncio.to_thread(gate.wait, 60))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.sleep(3600)
        gate.set()
        return now()

    assert testing.run(main()) == 3600


def test_what_a_call_in_a_thread_raises_is_raised_and_time_goes_on() -> None:
    async def main() -> float:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        await asyncio.sleep(1)
        return now()

    assert testing.run(main()) == 1


def test_a_thread_of_ones_own_is_waited_for_while_time_is_held() -> None:
    async def main() -> float:
        loop = virtual_loop()
        woken = asyncio.Event()
        timer = threading.Timer(0.02, loop.call_soon_threadsafe, [woken.set])
        timer.start()
        with loop.hold(), loop.hold():
            await asyncio.wait_for(woken.wait(), 1)
        timer.join()
        await asyncio.sleep(2)
        return now()

    assert testing.run(main()) == 2


def test_a_process_is_waited_for_while_time_is_held() -> None:
    async def main() -> tuple[bytes, float]:
        with virtual_loop().hold():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "print(7)", stdout=asyncio.subprocess.PIPE
            )
            output, _ = await asyncio.wait_for(process.communicate(), 60)
        return output, now()

    assert testing.run(main()) == (b"7\n", 0)
    for thread in threading.enumerate():
        if thread.name.startswith("asyncio-waitpid"):  # how 3.11 waits for a process
            thread.join()


# Descriptors


def test_a_descriptor_that_is_ready_is_served_before_time_goes_on() -> None:
    async def main() -> float:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        peer_reader, peer_writer = await asyncio.open_connection(sock=theirs)

        async def echo() -> None:
            while data := await peer_reader.read(1):
                peer_writer.write(data)

        echoing = asyncio.create_task(echo())
        async with asyncio.timeout(0.001):
            for _ in range(100):
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
        for each in (writer, peer_writer):
            each.close()
            await each.wait_closed()
        await echoing
        return now()

    assert testing.run(main()) == 0


def test_without_a_timer_a_descriptor_is_waited_for_really() -> None:
    async def main() -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            timer = threading.Timer(0.02, theirs.send, [b"x"])
            timer.start()
            try:
                return await asyncio.get_running_loop().sock_recv(ours, 1)
            finally:
                timer.join()

    assert testing.run(main()) == b"x"


def test_a_timer_jumps_over_a_descriptor_that_is_not_ready() -> None:
    async def main() -> float:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3600):
                    await asyncio.get_running_loop().sock_recv(ours, 1)
        return now()

    assert testing.run(main()) == 3600


def test_a_server_and_its_client_share_one_virtual_time() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query["seconds"]))
        return web.Response(text="done")

    async def main() -> list[object]:
        app = web.Application()
        app.router.add_get("/", slow)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        seen: list[object] = []
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            for seconds in (59, 61):
                try:
                    url = f"http://{host}:{port}/?seconds={seconds}"
                    async with session.get(url) as response:
                        seen.append(await response.text())
                except TimeoutError:
                    seen.append(round(now()))
        await runner.cleanup()
        return seen

    assert testing.run(main()) == ["done", 59 + 60]


# Deadlocks


def test_a_deadlock_is_an_error_that_names_the_waiting_tasks_and_places() -> None:
    log: list[str] = []

    async def worker() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cleaned up")

    async def main() -> None:
        await asyncio.sleep(5)
        tasks = [asyncio.create_task(worker(), name=name) for name in ("one", "two")]
        await asyncio.gather(*tasks)

    with pytest.raises(testing.DeadlockError) as caught:
        testing.run(main())
    assert caught.value.time == 5
    line = worker.__code__.co_firstlineno + 2
    assert f"'one' at {__file__}:{line} in worker" in caught.value.waiting
    assert f"'two' at {__file__}:{line} in worker" in str(caught.value)
    assert len(caught.value.waiting) == 3
    assert log == ["cleaned up", "cleaned up"]


def test_a_deadlock_while_cleaning_up_is_an_error_too() -> None:
    async def main() -> None:
        try:
            await forever()
        finally:
            await forever()

    with pytest.raises(testing.DeadlockError):
        testing.run(main())


def test_a_deadlock_after_a_call_in_a_thread_is_noticed() -> None:
    async def main() -> None:
        await asyncio.to_thread(int)
        await forever()

    with pytest.raises(testing.DeadlockError, match="in forever"):
        testing.run(main())


def test_a_wait_inside_of_a_library_is_named_by_its_caller() -> None:
    async def main() -> None:
        async with Scope() as scope:
            await scope.enter(asyncio.timeout(None))
            await asyncio.wait_for(asyncio.Queue[int]().get(), None)

    with pytest.raises(testing.DeadlockError) as caught:
        testing.run(main())
    line = main.__code__.co_firstlineno + 3
    assert any(f"{__file__}:{line} in main" in each for each in caught.value.waiting)
    assert any(each.startswith("'Timeout' at ") for each in caught.value.waiting)


# Scopes


def test_the_deadline_of_a_scope_is_virtual() -> None:
    log = Log()

    async def main() -> float:
        with pytest.raises(CloseTimeoutError) as caught:
            async with Scope("app", close_timeout=10) as scope:
                await scope.enter(Probe(log, "a"), name="quick")
                await scope.enter(Probe(log, "b", closing=forever), name="stuck")
        assert caught.value.resources == ("stuck",)
        assert caught.value.timeout == 10
        return now()

    assert testing.run(main()) == 10
    assert log.names("closed") == ["b", "a"]


def test_events_and_snapshots_show_virtual_seconds() -> None:
    events: list[tuple[Step, float]] = []
    ledger = Ledger()

    async def main() -> None:
        async with Scope("app") as scope:
            await scope.enter(testing.Resource("db", opening=2, closing=3), name="db")
            assert scope.snapshot().resources[0].opened_at == 2
            await asyncio.sleep(100)

    with observing(lambda event: events.append((event.step, event.time))), observing(ledger):
        testing.run(main())
    assert events[1:-1] == [
        (Step.OPENED, 0),
        (Step.OPENING, 0),
        (Step.OPENED, 2),
        (Step.CLOSING, 102),
        (Step.CLOSING, 102),
        (Step.CLOSED, 105),
    ]
    assert [record.seconds_open for record in ledger.records] == [105, 103]


def test_a_thousand_resources_of_50_ms_open_in_50_ms() -> None:
    doubles = [testing.Resource(str(n), opening=0.05, closing=0.02) for n in range(1000)]

    async def main() -> tuple[float, float]:
        async with Scope() as scope:
            await scope.enter_all(*doubles)
            opened = now()
        return opened, now()

    opened, closed = testing.run(main())
    assert opened == 0.05
    assert closed == pytest.approx(0.07)
    assert {double.state for double in doubles} == {testing.ResourceState.CLOSED}
