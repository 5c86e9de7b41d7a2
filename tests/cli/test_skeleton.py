"""``withal audit --new``: a scenario to begin with, which is safe as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from withal.audit import Scenario
from withal.cli.audit import AuditOptions, audit_command, new_command
from withal.cli.skeleton import advice_on


async def rest(*_: object) -> None:
    await asyncio.sleep(0)


def test_it_is_written_and_safe_and_has_nothing_to_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pool.py"
    assert new_command(file) == 0
    assert f"withal audit {file}:scenario" in capsys.readouterr().out
    assert audit_command(f"{file}:scenario", AuditOptions()) == 0
    out = capsys.readouterr().out
    assert out.startswith("safe: use: no finding in 2 attempts")
    assert "Tried: " not in out


def test_it_finds_a_slot_that_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "careless_pool.py"
    new_command(file)
    careful = "        async with self.slots:\n            await asyncio.sleep(0.001)"
    text = file.read_text()
    assert careful in text
    careless = "        if await self.slots.acquire():\n            await asyncio.sleep(0.001)"
    release = "            self.slots.release()\n"
    answer = '            return "answer"'
    text = text.replace(careful, careless).replace(answer, release + answer)
    file.write_text(text)
    assert audit_command(f"{file}:scenario", AuditOptions(timeout=1)) == 1
    assert "lock or slot" in capsys.readouterr().out


def test_a_file_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pool.py"
    file.write_text("mine")
    assert new_command(file) == 2
    assert file.read_text() == "mine"
    assert capsys.readouterr().err.startswith(f"withal: {file}: File exists")
    assert new_command(tmp_path / "none" / "pool.py") == 2


def test_a_scenario_without_a_probe_gets_advice() -> None:
    assert advice_on(Scenario(rest)).startswith("Tried: rest, called without arguments")
    assert advice_on(Scenario(rest, probe=rest)) == ""
