"""The command line as a whole: what it says of itself, and what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import withal
from tests.cli.commands import Done, done
from tests.test_public_api import FACADES

pytestmark = pytest.mark.slow  # each starts an interpreter


def python(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``withal`` where a module cannot be imported."""
    return python(
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['withal', *{arguments!r}]; "
        "from withal.cli import main; main()"
    )


def test_the_version_is_printed() -> None:
    assert done("--version") == Done(0, [f"withal {withal.__version__}"], [])


def test_the_help_names_each_part() -> None:
    result = " ".join(" ".join(done("--help").out).split())
    assert [name for name in FACADES if name not in result] == []


@pytest.mark.parametrize("command", ["fetch", "audit", "track", "top", "demo"])
def test_the_help_of_each_command_shows_an_example(command: str) -> None:
    result = done(command, "--help")
    example = result.out.index("  Example:")
    assert any(f"withal {command}" in line for line in result.out[example + 1 : example + 3])


def test_the_help_names_the_commands_and_shows_an_example() -> None:
    result = done("--help")
    assert result.status == 0
    assert result.out[0].startswith("Usage: withal ")
    assert "    withal demo --files 50" in result.out
    for command in ("fetch", "audit", "track", "top", "demo"):
        assert any(line.startswith(f"  {command}  ") for line in result.out)


@pytest.mark.parametrize("command", ["fetch", "demo"])
def test_each_command_explains_itself(command: str) -> None:
    result = done(command, "--help")
    assert result.status == 0
    assert result.out[0].startswith(f"Usage: withal {command} ")
    for start in ("  Example:", f"    withal {command} ", "  -o, --output DIR", "  -j, --jobs N"):
        assert any(line.startswith(start) for line in result.out)


@pytest.mark.parametrize("arguments", [(), ("fetch",), ("nonsense",), ("demo", "--files", "0")])
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...]) -> None:
    result = done(*arguments)
    assert result.status == 2
    assert any("Usage: withal " in line for line in (*result.out, *result.err))


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_the_cli_extra_one_line_says_what_to_install(module: str) -> None:
    result = without(module, "--help")
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"withal: this needs {module}, which is not installed")
    assert line.endswith('pip install "withal[cli]"')


@pytest.mark.parametrize("arguments", [("fetch", "http://host.example/"), ("demo",)])
def test_without_the_http_extra_one_line_says_what_to_install(arguments: tuple[str, ...]) -> None:
    result = without("aiohttp", *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.endswith('pip install "withal[http]"')


def test_the_command_line_loads_no_http_until_a_command_needs_it() -> None:
    program = "import sys, withal.cli.app; sys.exit('aiohttp' in sys.modules)"
    assert python(program).returncode == 0
