"""Error messages are one line, also if they contain line breaks."""

from __future__ import annotations

import pytest

from withal.cli.console import error_line, print_error


def test_unprintable_characters_are_escaped() -> None:
    assert error_line("naïve\n\x1b[2J") == "withal: naïve\\n\\x1b[2J"


def test_an_error_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("no")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "withal: no\n")
