"""Signals become one cancellation, and the status that shells have for them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from withal import CloseTimeoutError, Scope
from withal.cli.interrupt import run_until_signal

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_the_commands_status_is_returned() -> None:
    async def command() -> int:
        return 7

    assert run_until_signal(command()) == 7


def test_the_commands_error_is_raised() -> None:
    async def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_until_signal(command())


@SIGNALS
def test_a_signal_cancels_the_command(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    async def command() -> int:
        send(number)
        await asyncio.Event().wait()
        return 0

    assert run_until_signal(command()) == 128 + number
    assert (
        capsys.readouterr().err
        == f"withal: stopped by {number.name}; all open resources were closed\n"
    )


def test_more_signals_do_not_disturb_closing() -> None:
    closed = False

    async def command() -> int:
        nonlocal closed
        try:
            send(signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                send(number)
                for _ in range(3):
                    await asyncio.sleep(0)
            closed = True
        return 0

    assert run_until_signal(command()) == 130
    assert closed


def test_a_signal_that_comes_too_late_changes_nothing() -> None:
    async def command() -> int:
        try:
            send(signal.SIGTERM)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 5
        return 0

    assert run_until_signal(command()) == 5


def test_resources_that_did_not_close_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async def command() -> int:
        try:
            send(signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            raise CloseTimeoutError("app", 10.0, ("database",), ("database",))

    assert run_until_signal(command()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("withal: scope 'app': 'database' had not closed within 10 s")


def test_what_a_second_signal_has_cut_short_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def close() -> None:
        send(signal.SIGTERM)
        await asyncio.Event().wait()

    async def command() -> int:
        async with Scope("app") as scope:
            scope.defer(close)
            send(signal.SIGINT)
            await asyncio.Event().wait()
        return 0

    assert run_until_signal(command()) == 130
    assert capsys.readouterr().err == (
        "withal: abandoned 'close' in scope 'app': its finalizer was cancelled\n"
    )


def test_signals_are_as_they_were_afterwards() -> None:
    async def command() -> int:
        return 0

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_until_signal(command())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
