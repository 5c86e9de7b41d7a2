"""Part of a program is tracked by `tracking`."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import traceback
import weakref
from pathlib import Path
from typing import Any

import pytest

from withal import Scope
from withal.ledger import Ending
from withal.tracking import Kind, Tracker, tracking


class Lamp:
    def __init__(self, *, broken: bool = False) -> None:
        if broken:
            raise ValueError("broken")

    def switch_off(self) -> None:
        pass

    async def fade(self) -> None:
        await asyncio.sleep(0)


LAMP = Kind("lamp", "lamp")


def lamps(tracker: Tracker) -> None:
    tracker.follow(Lamp, LAMP, closes=["switch_off", "fade", "no_such"])


def test_what_is_open_at_the_end_of_the_block_has_leaked() -> None:
    with tracking(adapters=[lamps]) as ledger:
        kept = Lamp()
        closed = Lamp()
        closed.switch_off()
    (leak,) = ledger.leaked()
    assert (leak.kind, leak.ending) == ("lamp", Ending.NEVER)
    assert leak.site is not None
    assert leak.site.file == __file__
    del kept


def test_what_is_collected_has_leaked_and_is_not_kept_alive() -> None:
    with tracking(adapters=[lamps]) as ledger:
        reference = weakref.ref(Lamp())
        gc.collect()
        assert reference() is None
    (leak,) = ledger.leaked()
    assert leak.ending is Ending.COLLECTED


async def test_an_asynchronous_method_closes_when_it_has_been_awaited() -> None:
    with tracking(adapters=[lamps]) as ledger:
        lamp = Lamp()
        closing = lamp.fade()
        assert len(ledger.open()) == 1
        await closing
        assert ledger.open() == ()
    assert ledger.leaked() == ()


def test_what_fails_to_open_is_not_open_and_shows_no_frame_of_the_tracker() -> None:
    with tracking(adapters=[lamps]) as ledger, pytest.raises(ValueError, match="broken") as caught:
        Lamp(broken=True)
    assert ledger.leaked() == ()
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert set(files) == {__file__}


def test_everything_is_put_back() -> None:
    before = dict(vars(socket.socket)), open, dict(vars(Lamp))
    with tracking(adapters=[lamps]):
        assert open is not before[1]
    assert (dict(vars(socket.socket)), open, dict(vars(Lamp))) == before


def test_blocks_do_not_nest() -> None:
    with tracking(), pytest.raises(RuntimeError, match="does not nest"), tracking():
        pass
    with tracking():
        pass


def test_an_adapter_that_does_not_fit_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unfit(tracker: Tracker) -> None:
        tracker.follow(Lamp, LAMP, closes=["no_such"])

    with tracking(adapters=[unfit, lamps]) as ledger:
        Lamp().switch_off()
    assert ledger.summary().opened == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "unfit is not tracked: its adapter does not fit (AttributeError" in said


def test_of_an_adapter_that_does_not_fit_nothing_stays() -> None:
    def unfit(tracker: Tracker) -> None:
        tracker.follow(Lamp, LAMP, closes=["switch_off"])
        raise LookupError("another version")

    with tracking(adapters=[unfit]) as ledger:
        Lamp()
    assert ledger.leaked() == ()


async def test_what_an_adapter_does_cannot_break_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("changed")

    def unfit(tracker: Tracker) -> None:
        tracker.patches.after(Lamp, "__init__", fail)
        tracker.patches.before(Lamp, "switch_off", fail)
        tracker.patches.after(Lamp, "fade", fail)

    with tracking(adapters=[unfit]):
        for _ in range(2):
            lamp = Lamp()
            lamp.switch_off()
            await lamp.fade()
    said = capsys.readouterr().err
    assert said == (
        "withal track: tests is not tracked completely: LookupError: changed in its adapter\n"
    )


async def test_what_scopes_open_is_in_the_same_ledger() -> None:
    with tracking(adapters=[lamps]) as ledger:
        async with Scope("app") as scope:
            scope.defer(Lamp().switch_off)
    assert {kind.kind for kind in ledger.summary().kinds} >= {"scope", "lamp", "callback"}
    assert ledger.leaked() == ()


def test_a_class_of_leaks_can_be_left_out() -> None:
    with tracking(adapters=[lamps], ignore=[Ending.NEVER]) as ledger:
        kept: Any = Lamp()
    assert ledger.leaked() == ()
    del kept


def test_the_memory_of_many_leaks_of_one_line_is_bounded() -> None:
    with tracking(adapters=[lamps]) as ledger:
        for _ in range(1_000):
            Lamp()
    assert len(ledger.leaked()) == 100
    (kind,) = [each for each in ledger.summary().kinds if each.kind == "lamp"]
    assert kind.opened == 1_000


def test_functions_of_os_stay_in_the_sets_that_say_what_they_can() -> None:
    with tracking():
        assert os.open in os.supports_dir_fd
        replaced = os.open
    assert os.open is not replaced
    assert replaced not in os.supports_dir_fd


def test_a_file_is_named_and_refused_as_by_the_builtin(tmp_path: Path) -> None:
    with tracking():
        with open(tmp_path / "a", "w") as file:
            assert file.name == str(tmp_path / "a")
        with pytest.raises(FileNotFoundError) as caught:
            open(tmp_path / "b")  # noqa: SIM115
        assert caught.value.filename == str(tmp_path / "b")
        with pytest.raises(TypeError, match="PathLike object, not float"):
            open(2.5)  # type: ignore[call-overload]  # noqa: SIM115


def test_what_has_closed_leaves_nothing_for_the_garbage_collector() -> None:
    with tracking(adapters=[lamps]):
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                Lamp().switch_off()
                socket.socket().close()
                open(__file__).close()
            assert gc.collect() == 0
        finally:
            gc.enable()
