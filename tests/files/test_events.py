"""An open file is in the ledger as a resource, once, however it was opened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from withal import Scope, files, observing, resource
from withal.files import Opening, TextFile, tempfile
from withal.files import open as open_file
from withal.ledger import Ledger


def lines(ledger: Ledger) -> list[tuple[str, str, bool]]:
    return [(each.kind, each.name, each.closed_at is not None) for each in ledger.records]


async def test_a_file_is_recorded_from_opening_to_closing(tmp_path: Path) -> None:
    ledger = Ledger()
    path = str(tmp_path / "file")
    with observing(ledger):
        async with open_file(path, "w") as file:
            assert lines(ledger) == [("file", path, False)]
            await file.write("text")
    assert lines(ledger) == [("file", path, True)]
    assert ledger.records[0].site is not None
    assert ledger.records[0].site.file == __file__


async def test_a_file_is_open_until_it_is_closed(tmp_path: Path) -> None:
    ledger = Ledger()
    with observing(ledger):
        file = await open_file(tmp_path / "file", "wb")
    assert [each.name for each in ledger.open()] == [str(tmp_path / "file")]
    await file.close()
    assert not ledger.open()


async def test_a_file_that_cannot_be_opened_has_failed(tmp_path: Path) -> None:
    ledger = Ledger()
    with observing(ledger), pytest.raises(FileNotFoundError):
        await open_file(tmp_path / "none")
    assert len(ledger.records) == 1
    assert not ledger.open()


@pytest.mark.parametrize("inline", [False, True])
async def test_in_a_scope_it_is_recorded_once(tmp_path: Path, inline: bool) -> None:
    ledger = Ledger()
    path = str(tmp_path / "file")
    with observing(ledger):
        async with Scope("app") as scope:
            file = await scope.enter(open_file(path, "w"), inline=inline)
            await file.write("text")
    assert [each for each in lines(ledger) if each[0] == "file"] == [("file", path, True)]
    assert (tmp_path / "file").read_text() == "text"


async def test_in_a_scope_that_is_cancelled_it_is_written_and_closed(tmp_path: Path) -> None:
    ready = asyncio.Event()

    async def work() -> None:
        async with Scope("app") as scope:
            file = await scope.enter(open_file(tmp_path / "file", "w"), inline=True)
            await file.write("text")
            ready.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "file").read_text() == "text"


async def test_a_declared_file_is_recorded_once(tmp_path: Path) -> None:
    ledger = Ledger()

    @resource
    def log() -> Opening[TextFile]:
        return open_file(tmp_path / "file", "w")

    with observing(ledger):
        async with Scope("app") as scope:
            await scope.open(log)
    assert [each.name for each in ledger.records if each.kind != "scope"] == ["log"]


async def test_what_is_entered_goes_by_the_name_of_the_public_function(tmp_path: Path) -> None:
    ledger = Ledger()
    with observing(ledger):
        async with Scope("app") as scope:
            await scope.enter(files.atomic_write(tmp_path / "file"))
            await scope.enter(files.lock(tmp_path / "lock"))
            await scope.enter(files.part_file(tmp_path / "part"))
            await scope.enter(tempfile.NamedTemporaryFile(dir=tmp_path))
            await scope.enter(tempfile.SpooledTemporaryFile(dir=tmp_path))
            await scope.enter(tempfile.TemporaryDirectory(dir=tmp_path))
    assert [each.name for each in ledger.records if each.kind not in ("scope", "file")] == [
        "atomic_write",
        "lock",
        "part_file",
        "NamedTemporaryFile",
        "SpooledTemporaryFile",
        "TemporaryDirectory",
    ]


async def test_a_file_that_closes_at_once_is_closed_in_the_ledger_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    ledger = Ledger()
    with observing(ledger):
        async with files.open(tmp_path / "file", "rb") as file:
            await file.read()
        assert not ledger.open()
