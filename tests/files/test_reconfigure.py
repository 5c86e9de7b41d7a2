"""`TextFile.reconfigure` does what `io.TextIOWrapper.reconfigure` does, and waits for the flush."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.files.test_os import described
from tests.support.threads import all_threads_busy
from withal import files

# Steps of two kinds: methods with their arguments, and what to reconfigure.
Steps = list[tuple[str, Any] | dict[str, Any]]

CASES: dict[str, tuple[str, Steps]] = {
    "encoding between writes": (
        "w",
        [("write", "aé\n"), {"encoding": "latin-1"}, ("write", "é\n")],
    ),
    "an encoding with states": ("w", [{"encoding": "utf-16"}, ("write", "é"), ("write", "b")]),
    "a mark in the middle": ("w", [("write", "a"), {"encoding": "utf-16"}, ("write", "b")]),
    "errors": ("w", [{"encoding": "ascii", "errors": "replace"}, ("write", "é")]),
    "strict again": (
        "w",
        [{"encoding": "ascii", "errors": "replace"}, {"encoding": "ascii"}, ("write", "é")],
    ),
    "errors alone": ("w", [{"encoding": "ascii"}, {"errors": "xmlcharrefreplace"}, ("write", "é")]),
    "newline": ("w", [("write", "a\n"), {"newline": "\r\n"}, ("write", "b\n"), {"newline": None}]),
    "line buffering": (
        "w",
        [{"line_buffering": True}, ("write", "a\nb"), {"line_buffering": None}],
    ),
    "line buffering off": ("w", [{"line_buffering": True}, {"line_buffering": False}]),
    "write through": ("w", [{"write_through": True}, ("write", "a"), {"write_through": False}]),
    "nothing": ("w", [("write", "a"), {}, ("write", "b")]),
    "before reading": ("r", [{"encoding": "latin-1", "newline": ""}, ("read", -1)]),
    "during reading": ("r", [("read", 1), {"encoding": "latin-1"}, ("read", -1)]),
    "newline during reading": ("r", [("readline", -1), {"newline": ""}, ("read", -1)]),
    "buffering during reading": ("r", [("read", 1), {"line_buffering": True}, ("read", -1)]),
    "after reading": ("r", [("read", -1), {"encoding": "latin-1"}, ("seek", 0), ("read", -1)]),
    "after a seek": ("r", [("read", 1), ("seek", 0), {"encoding": "latin-1"}, ("read", -1)]),
    "no such encoding": ("w", [{"encoding": "none"}, ("write", "é")]),
    "no text encoding": ("w", [{"encoding": "hex"}, ("write", "é")]),
    "no newline": ("w", [{"newline": "x"}]),
    "no string": ("w", [{"newline": 1}]),
    "an encoding that is not a string": ("w", [{"encoding": 1}]),
    "locale": ("w", [{"encoding": "locale"}, ("write", "a")]),
    "closed": ("w", [("close", None), {"encoding": "ascii"}]),
    "both ways": ("r+", [("read", -1), {"encoding": "utf-8"}, ("write", "é"), ("seek", 0)]),
}


async def awaited(step: Callable[..., Awaitable[object]], *args: Any, **options: Any) -> object:
    try:
        return await step(*args, **options)
    except Exception as error:
        return described(error)


def called(step: Callable[..., object], *args: Any, **options: Any) -> object:
    try:
        return step(*args, **options)
    except Exception as error:
        return described(error)


def settings(file: Any) -> tuple[object, ...]:
    return file.encoding, file.errors, file.line_buffering, file.write_through, file.newlines


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("case", CASES)
async def test_it_does_what_the_standard_librarys_does(
    case: str, wrapped: bool, tmp_path: Path
) -> None:
    mode, steps = CASES[case]
    for name in ("ours", "theirs"):
        (tmp_path / name).write_bytes(b"" if mode == "w" else "aé\r\nb\nc".encode())
    theirs: Any
    ours: Any
    path = tmp_path / "ours"
    with ExitStack() as stack:
        theirs = stack.enter_context(open(tmp_path / "theirs", mode, encoding="utf-8"))
        if wrapped:
            ours = files.wrap(stack.enter_context(open(path, mode, encoding="utf-8")))
        else:
            ours = await files.open(path, mode, encoding="utf-8")
        async with ours:
            for step in steps:
                if isinstance(step, dict):
                    expected = called(theirs.reconfigure, **step)
                    assert await awaited(ours.reconfigure, **step) == expected, step
                else:
                    args = () if step[1] is None else (step[1],)
                    expected = called(getattr(theirs, step[0]), *args)
                    assert await awaited(getattr(ours, step[0]), *args) == expected, step
                if not theirs.closed:
                    assert settings(ours) == settings(theirs), step
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


async def test_a_cancelled_call_has_changed_nothing(tmp_path: Path) -> None:
    async with files.open(tmp_path / "file", "w", encoding="utf-8") as file:
        await file.write("é")
        with all_threads_busy():
            task = asyncio.create_task(file.reconfigure(encoding="latin-1", line_buffering=True))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (file.encoding, file.line_buffering) == ("utf-8", False)
        await file.write("é")
    assert (tmp_path / "file").read_text("utf-8") == "éé"


async def test_a_file_with_a_name_can_be_reconfigured_and_a_spooled_one_cannot() -> None:
    async with files.tempfile.NamedTemporaryFile("w+") as file:
        await file.reconfigure(encoding="utf-16-le")
        await file.write("a")
        await file.flush()
        assert Path(file.name).read_bytes() == b"a\0"
        assert file.encoding == "utf-16-le"
    async with files.tempfile.SpooledTemporaryFile(0, "w+") as spooled:
        with pytest.raises(AttributeError):
            await spooled.reconfigure(encoding="utf-8")


async def test_a_standard_stream_can_be_reconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(data, "utf-8"))
    await files.stdout.write("é")
    await files.stdout.reconfigure(encoding="latin-1")
    await files.stdout.write("é")
    await files.stdout.flush()
    assert data.getvalue() == "é".encode() + b"\xe9"
