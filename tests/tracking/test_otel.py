"""Spans, through the SDK that the program sets up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracking.tracked import track

pytestmark = pytest.mark.slow
pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

PROGRAM = """
import atexit, json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()  # registers its shut-down for the exit
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
finished = exporter.get_finished_spans
def show():
    json.dump([[s.name, s.status.status_code.name, s.attributes["withal.ending"],
                s.attributes["code.line.number"]] for s in finished()], sys.stdout)
with open("/dev/null"): pass
kept = open("/dev/null")
exporter.shutdown = show
"""
OWN_LINES = 16
"""The first line of the program that opens a file itself."""


def test_a_span_a_resource_is_sent_before_the_provider_shuts_down(tmp_path: Path) -> None:
    ended = track(tmp_path, PROGRAM, "--otel", "-q")
    assert ended.returncode == 0, ended.stderr
    files = [each for each in json.loads(ended.stdout) if each[0].startswith("file")]
    files = [each for each in files if each[3] >= OWN_LINES]  # not those of the imports
    assert files == [
        ["file TextIOWrapper", "UNSET", "closed", 16],
        ["file TextIOWrapper", "ERROR", "never closed", 17],
    ]


def test_without_a_provider_one_line_says_so(tmp_path: Path) -> None:
    ended = track(tmp_path, "open('/dev/null').close()", "--otel", "-q")
    assert ended.returncode == 0
    assert ended.stderr.count("\n") == 1
    assert "no span was sent" in ended.stderr


def test_without_the_package_one_line_says_so_before_the_program_starts(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print('ran')")
    hide = (
        "import sys; sys.modules['opentelemetry'] = None; "
        "sys.argv = ['withal', 'track', '--otel', 'program.py']; "
        "from withal.cli import main; main()"
    )
    command = [sys.executable, "-c", hide]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=100, cwd=tmp_path
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("withal: --otel needs opentelemetry-api")
