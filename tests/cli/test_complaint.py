"""Error messages are one line, also if they contain line breaks."""

from __future__ import annotations

import pytest

from withal.cli.complaint import complain, complaint


def test_what_cannot_be_printed_is_escaped() -> None:
    assert complaint("naïve\n\x1b[2J") == "withal: naïve\\n\\x1b[2J"


def test_complaints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "withal: no\n")
