"""The trace: slices that are nested, and arrows between those that exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tracking.tracked import HOSTILE, LEAKY, track

pytestmark = pytest.mark.slow


def test_slices_nest_and_arrows_lead_from_slice_to_slice(tmp_path: Path) -> None:
    assert track(tmp_path, LEAKY, "--perfetto", "trace.json").returncode == 0
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    names = {each["tid"]: each["args"]["name"] for each in events if each["name"] == "thread_name"}
    slices = [each for each in events if each["ph"] == "X"]
    assert {"Task-1", "closer", HOSTILE} <= set(names.values())
    assert any(s["name"] == "lock Lock" and names[s["tid"]] == HOSTILE for s in slices)
    closing = next(each for each in slices if each["name"].startswith("closes file"))
    assert names[closing["tid"]] == "closer"
    assert [s["args"]["ending"] for s in slices if "cname" in s] == ["never closed"]
    for a in slices:
        for b in slices:
            if a["tid"] == b["tid"] and a["ts"] < b["ts"] < a["ts"] + a["dur"]:
                assert b["ts"] + b["dur"] <= a["ts"] + a["dur"]
    starts = {each["id"]: each for each in events if each["ph"] == "s"}
    ends = {each["id"]: each for each in events if each["ph"] == "f"}
    assert starts.keys() == ends.keys()
    assert len(starts) >= 3
    for each in (*starts.values(), *ends.values()):
        assert any(
            s["tid"] == each["tid"] and s["ts"] <= each["ts"] <= s["ts"] + s["dur"] for s in slices
        )
        assert starts[each["id"]]["ts"] <= ends[each["id"]]["ts"]


@pytest.mark.parametrize("option", ["--html", "--perfetto"])
def test_an_unwritable_path_is_refused_before_the_program_starts(
    tmp_path: Path, option: str
) -> None:
    ended = track(tmp_path, "print('ran')", option, "missing/report")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("withal: cannot write the report")
