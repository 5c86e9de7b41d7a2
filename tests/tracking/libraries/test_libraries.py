"""Programs that use libraries: each leaks at the line that says so, without the line that cleans.

The whole program is the clean twin. Without its line that ends in ``# CLEAN`` it leaks.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracking.test_programs import LEAK, LOOPS, on, track

pytestmark = pytest.mark.slow

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
LEAKY = [program for program in PROGRAMS if "# LEAK" in program.read_text()]

# Which servers a program connects to, by the variable of its environment that says where.
SERVERS = {
    "HTTP_URL": "http_url",
    "POSTGRES_URL": "postgres_url",
    "REDIS_PORT": "redis_port",
    "REDIS_URL": "redis_url",
    "WEBSOCKET_URL": "websocket_url",
}


@pytest.fixture
def _servers(
    program: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(program.stem.partition("_")[0])
    source = program.read_text()
    for variable, fixture in SERVERS.items():
        if variable in source:
            monkeypatch.setenv(variable, request.getfixturevalue(fixture))


@pytest.mark.usefixtures("_servers")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("program", LEAKY, ids=lambda each: each.stem)
def test_the_leak_is_named_at_its_line(program: Path, loop: str, tmp_path: Path) -> None:
    lines = [line for line in program.read_text().splitlines() if not line.endswith("# CLEAN")]
    ((number, expected),) = [
        (number, match) for number, line in enumerate(lines, 1) if (match := LEAK.search(line))
    ]
    leaky = tmp_path / f"leaky_{program.name}"
    leaky.write_text("\n".join(lines))
    path = _on(loop, leaky, tmp_path)
    leaks = track(path, tmp_path)["leaks"]
    found = [(leak["site"], leak["kind"], leak["count"]) for leak in leaks]
    assert found == [(f"{path.name}:{number}", expected["kind"], 1)]
    if expected["ending"]:
        assert leaks[0]["class"] == expected["ending"]


@pytest.mark.usefixtures("_servers")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.stem)
def test_the_clean_twin_has_no_leak(program: Path, loop: str, tmp_path: Path) -> None:
    path = _on(loop, program, tmp_path)
    assert track(path, tmp_path)["leaks"] == []


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("_servers")
@pytest.mark.parametrize(
    "program",
    [each for each in PROGRAMS if each.stem.startswith(("aiohttp_example", "fastapi", "mcp"))],
    ids=lambda each: each.stem,
)
def test_a_whole_application_behaves_as_without_tracking(program: Path, tmp_path: Path) -> None:
    def done(*command: str) -> tuple[int, str, str]:
        found = subprocess.run(
            [sys.executable, *command, str(program)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return found.returncode, found.stdout, found.stderr

    without = done()
    assert done("-m", "withal", "track", "-q") == without
    assert without[0] == 0
    assert without[1]


def test_a_library_whose_inside_has_changed_is_named_once_and_the_program_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / "aiosqlite.py").write_text("class Connection:\n    def close(self): ...\n")
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nimport aiosqlite\naiosqlite.Connection()\nkept = open(__file__)\nsys.exit(5)\n"
    )
    command = [sys.executable, "-m", "withal", "track", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 5
    assert done.stderr.count("withal track: ") == 1
    assert "aiosqlite is not tracked: its adapter does not fit (AttributeError: " in done.stderr
    assert "program.py:4" in done.stderr  # the rest is tracked


def _on(loop: str, program: Path, tmp_path: Path) -> Path:
    source = program.read_text()
    if loop == "uvloop" and "import asyncio\n" not in source:
        pytest.skip("it chooses no loop of asyncio")
    return on(loop, program, tmp_path)
