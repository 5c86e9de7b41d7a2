"""Programs under `withal.run`: real processes, and real signals."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest

from tests.laws.probes import Log, Probe
from withal import Scope, run

PROGRAM = """
import asyncio, contextlib, sys, time
import anyio
from withal import Scope, run

def say(text):
    print(text, flush=True)

@contextlib.asynccontextmanager
async def held(name, closing=0.0, stubborn=False):
    try:
        yield name
    finally:
        say(f"closing {name}")
        while stubborn:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                say("ignored")
        await asyncio.sleep(closing)
        say(f"closed {name}")

async def body(scope):
    say("ready")
    await asyncio.sleep(60)

async def main():
    async with Scope("app", close_timeout=30) as scope:
        await scope.enter(held("a"))
        await scope.enter_all(held("b"), held("c", 0.01))
        await body(scope)
"""

BODY = """
async def body(scope):
    await scope.enter(held({}))
    say("ready")
    await asyncio.sleep(60)
"""


@contextmanager
def program(
    text: str = "", *, uvloop: bool = False, timeout: float = 10
) -> Generator[subprocess.Popen[str]]:
    """Run the program above, changed by `text`, and wait until it says that it is ready."""
    code = f"{PROGRAM}\n{text}\nrun(main(), close_timeout={timeout}, uvloop={uvloop})"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out.splitlines(), err


@pytest.mark.slow
@pytest.mark.parametrize("uvloop", [False, True])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_closes_all_in_order_and_exits_as_shells_expect(
    number: signal.Signals, status: int, uvloop: bool
) -> None:
    with program(uvloop=uvloop) as process:
        process.send_signal(number)
        assert end(process) == (
            status,
            ["closing c", "closing b", "closed b", "closed c", "closing a", "closed a"],
            "",
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrapped",
    [
        "async with asyncio.timeout(60): await real()",
        "await asyncio.wait_for(real(), 60)",
        "async with asyncio.TaskGroup() as group: group.create_task(real())",
        "with anyio.CancelScope(): await real()",
        "async with anyio.create_task_group() as group: group.start_soon(real)",
    ],
)
def test_a_signal_reaches_a_scope_inside_of_anything(wrapped: str) -> None:
    with program(f"real = main\nasync def main():\n    {wrapped}") as process:
        process.send_signal(signal.SIGTERM)
        status, out, err = end(process)
    assert (status, err) == (143, "")
    assert out[-1] == "closed a"
    assert len(out) == 6


@pytest.mark.slow
def test_after_a_signal_scopes_have_the_time_of_the_program_and_not_their_own() -> None:
    slow = BODY.format("'slow', 60")
    with program(slow, timeout=0.05) as process:
        started = monotonic()
        process.send_signal(signal.SIGTERM)
        status, out, err = end(process)
    assert monotonic() - started < 10
    assert status == 1  # an error of closing is raised, not hidden behind the signal
    assert "CloseTimeoutError" in err
    assert "'held' had not closed within" in err
    assert out[-1] == "closed a"


@pytest.mark.slow
@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("uvloop", [False, True])
def test_a_second_signal_leaves_a_finalizer_that_never_ends_and_says_which(
    inline: bool, uvloop: bool
) -> None:
    stuck = BODY.format(f"'stuck', stubborn=True), name='stuck', inline=bool({inline:d}")
    with program(stuck, uvloop=uvloop) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "closing stuck\n"
        started = monotonic()
        process.send_signal(signal.SIGINT)
        status, out, err = end(process)
    assert monotonic() - started < 5  # a bound on hanging; it is to be one second
    assert status == 130
    assert err.startswith("withal: abandoned 'stuck' (held) in scope 'app', opened at <string>:")
    if not inline:  # what was opened earlier has had its turn
        assert "closed a" in out


@pytest.mark.slow
@pytest.mark.parametrize("uvloop", [False, True])
def test_a_second_signal_ends_a_finalizer_that_blocks_the_loop(uvloop: bool) -> None:
    blocked = BODY.replace("held({})", "held('late')").replace(
        "say", "scope.defer(time.sleep, 60); say"
    )
    with program(blocked, uvloop=uvloop) as process:
        process.send_signal(signal.SIGINT)
        sleep(0.2)  # into the block, which nothing shows from outside
        process.send_signal(signal.SIGTERM)
        started = monotonic()
        status, _, err = end(process)
    assert monotonic() - started < 5  # a bound on hanging; it is to be one second
    assert status == 130
    assert "abandoned 'sleep' (callback) in scope 'app'" in err


FIRST_AND_SECOND = pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGTERM, signal.SIGINT, 143),
        (signal.SIGINT, signal.SIGTERM, 130),
    ],
)


@pytest.mark.slow
@pytest.mark.parametrize("uvloop", [False, True])
@FIRST_AND_SECOND
def test_a_second_signal_has_the_rest_close_at_once_and_names_what_was_given_up(
    first: signal.Signals, second: signal.Signals, status: int, uvloop: bool
) -> None:
    with program(BODY.format("'slow', 60), name=('slow'"), uvloop=uvloop) as process:
        process.send_signal(first)
        assert process.stdout is not None
        assert process.stdout.readline() == "closing slow\n"
        process.send_signal(second)
        ended, out, err = end(process)
    assert ended == status
    assert err == "withal: abandoned 'slow' in scope 'app': its finalizer was cancelled\n"
    assert out[-1] == "closed a"


@pytest.mark.slow
@pytest.mark.parametrize("inner", [False, True])
def test_what_closes_before_or_after_a_second_signal_speaks_of_no_timeout(inner: bool) -> None:
    text = (
        "async def main():\n"
        "    async with Scope('app', close_timeout=30) as scope:\n"
        "        await scope.enter(held('first', 60), name='first')\n"
        f"        held_in = await scope.enter(Scope('inner')) if {inner} else scope\n"
        "        await held_in.enter(held('second', 60), name='second')\n"
        "        await body(scope)\n"
        "real = main\n"
        "async def main():\n"
        "    try:\n"
        "        await real()\n"
        "    except BaseException as error:\n"
        "        say([str(each) for each in getattr(error, 'exceptions', [error])])\n"
        "        raise\n"
    )
    with program(text) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "closing second\n"
        process.send_signal(signal.SIGTERM)
        status, out, err = end(process)
    assert status == 143
    assert "had not closed" in out[-1]
    for text in (out[-1], err):
        assert "within" not in text
        assert "timeout" not in text.replace("CloseTimeoutError", "")
    assert err.count("\n") == 1
    assert "'first' in scope 'app': its finalizer was cancelled" in err
    assert f"'second' in scope 'app{' > inner' * inner}': its finalizer was cancelled" in err


@pytest.mark.slow
def test_other_errors_are_not_lost_after_a_second_signal() -> None:
    broken = (
        "def broken(): raise OSError('the disk is full')\n"
        "async def body(scope):\n"
        "    scope.defer(broken)\n"
        "    await scope.enter(held('slow', 60), name='slow')\n"
        "    say('ready')\n"
        "    await asyncio.sleep(60)\n"
    )
    with program(broken) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "closing slow\n"
        process.send_signal(signal.SIGINT)
        status, _, err = end(process)
    assert status == 130
    assert "OSError: the disk is full" in err
    assert err.splitlines()[-1].startswith("withal: abandoned 'slow' in scope 'app'")


@pytest.mark.slow
@pytest.mark.parametrize("uvloop", [False, True])
def test_after_a_second_signal_a_thread_that_does_not_end_is_left_and_the_rest_named(
    uvloop: bool,
) -> None:
    blocked = (
        "import time\n"
        "async def finalize():\n"
        "    say('closing thread')\n"
        "    await asyncio.to_thread(time.sleep, 30)\n"
        "async def body(scope):\n"
        "    scope.defer(finalize)\n"
        "    say('ready')\n"
        "    await asyncio.sleep(60)\n"
    )
    with program(blocked, uvloop=uvloop) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "closing thread\n"
        started = monotonic()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):  # a third changes nothing
            process.send_signal(number)
            sleep(0.01)
        status, out, err = end(process)
    assert monotonic() - started < 5  # a bound on hanging; it is to be one second
    assert status == 130
    assert err == "withal: abandoned 'finalize' in scope 'app': its finalizer was cancelled\n"
    assert out[-1] == "closed a"


@pytest.mark.slow
def test_a_main_that_does_not_end_after_a_second_signal_is_named() -> None:
    deaf = (
        "async def main():\n"
        "    say('ready')\n"
        "    while True:\n"
        "        try:\n"
        "            await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError:\n"
        "            say('ignored')\n"
    )
    with program(deaf) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "ignored\n"
        process.send_signal(signal.SIGTERM)
        status, _, err = end(process)
    assert (status, err) == (143, "withal: abandoned 'main': it did not end\n")


def test_it_returns_what_main_returns_and_raises_what_it_raises() -> None:
    log = Log()

    async def main(error: Exception | None) -> int:
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
            if error is not None:
                raise error
            return 7

    assert run(main(None)) == 7
    assert run(main(None), uvloop=True) == 7
    with pytest.raises(ValueError, match="body"):
        run(main(ValueError("body")))
    assert log.names("closed") == ["a"] * 3


def test_a_main_that_is_cancelled_without_a_signal() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    with pytest.raises(asyncio.CancelledError):
        run(main())


@pytest.mark.parametrize("uvloop", [False, True])
def test_a_main_that_cancels_all_other_tasks_and_waits_for_them_goes_on(uvloop: bool) -> None:
    async def main() -> int:
        mine = asyncio.create_task(asyncio.sleep(60))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert others == {mine}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return 7

    assert run(main(), uvloop=uvloop) == 7


@pytest.mark.parametrize("uvloop", [False, True])
def test_main_has_ended_as_it_has_whatever_cancels_all_tasks_after_that(uvloop: bool) -> None:
    async def cancel_all() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            for each in asyncio.all_tasks():
                each.cancel()

    async def main(error: Exception | None) -> int:
        task = asyncio.create_task(cancel_all())
        await asyncio.sleep(0)
        assert not task.done()
        if error is not None:
            raise error
        return 7

    assert run(main(None), uvloop=uvloop) == 7
    with pytest.raises(ValueError, match="body"):
        run(main(ValueError("body")), uvloop=uvloop)


def test_it_runs_in_another_thread_too_without_signals() -> None:
    results: list[int] = []

    async def main() -> int:
        return 7

    thread = threading.Thread(target=lambda: results.append(run(main())))
    thread.start()
    thread.join()
    assert results == [7]


def test_what_cannot_be_run() -> None:
    async def main() -> None: ...

    with pytest.raises(TypeError, match=r"call the function: run\(main\(\)\)"):
        run(main)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="zero or more seconds"):
        run(main(), close_timeout=-1)


def test_handlers_are_as_they_were_afterwards() -> None:
    async def main() -> None: ...

    def handler(*_: object) -> None: ...

    interrupt = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        run(main())
        assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_the_first_signal_bounds_what_closes_already() -> None:
    closing = (
        "async def main():\n"
        "    async with Scope('app', close_timeout=60) as scope:\n"
        "        await scope.enter(held('slow', 60))\n"
        "        say('ready')\n"
    )
    with program(closing, timeout=0.05) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "closing slow\n"
        process.send_signal(signal.SIGTERM)
        status, _, err = end(process)
    assert "CloseTimeoutError" in err
    assert status == 1


@pytest.mark.slow
def test_tasks_that_main_has_left_are_closed_under_signals_too() -> None:
    left = (
        "async def forgotten():\n"
        "    async with Scope('forgotten') as scope:\n"
        "        await scope.enter(held('a', 0.05))\n"
        "        await asyncio.sleep(60)\n"
        "async def main():\n"
        "    global task\n"
        "    task = asyncio.create_task(forgotten())\n"
        "    await asyncio.sleep(0.01)\n"
        "    say('ready')\n"
    )
    with program(left) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "closing a\n"
        process.send_signal(signal.SIGTERM)
        status, out, err = end(process)
    assert (status, out, err) == (0, ["closed a"], "")


@pytest.mark.slow
def test_a_blocked_thread_does_not_keep_the_process_when_time_is_up() -> None:
    blocked = (
        "import time\n"
        "async def body(scope):\n"
        "    say('ready')\n"
        "    await asyncio.to_thread(time.sleep, 30)\n"
    )
    with program(blocked, timeout=0.1) as process:
        started = monotonic()
        process.send_signal(signal.SIGINT)
        status, out, _ = end(process)
    assert monotonic() - started < 15
    assert status == 130
    assert out[-1] == "closed a"


@pytest.mark.slow
def test_a_signal_that_another_thread_receives_wakes_the_loop() -> None:
    text = "threading.Timer(0.1, signal.raise_signal, [signal.SIGTERM]).start()"
    body = BODY.replace("held({})", "held('late')").replace(
        "await asyncio.sleep(60)", text + ("\n    await asyncio.sleep(60)")
    )
    with program("import signal, threading\n" + body) as process:
        status, _, err = end(process)
    assert (status, err) == (143, "")


@pytest.mark.slow
def test_what_comes_after_a_run_of_two_signals_goes_on() -> None:
    code = """
import asyncio, signal, sys, time
from withal import run

async def main():
    for _ in range(2):
        signal.raise_signal(signal.SIGTERM)
    sys.exit(3)

try:
    run(main())
except SystemExit as end:
    time.sleep(1)
    print("went on after", end)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "went on after 3\n"), done.stderr
