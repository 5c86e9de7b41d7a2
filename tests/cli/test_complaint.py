"""Complaints are one line, whatever is in them."""

from __future__ import annotations

import pytest

from withal.cli.complaint import complain, complaint


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "withal: plain"),
        ("naïve 文", "withal: naïve 文"),
        ("two\nlines\r", "withal: two\\nlines\\r"),
        ("\x1b[2J\x07", "withal: \\x1b[2J\\x07"),
        ("\u202egnp.exe", "withal: \\u202egnp.exe"),
        ("bad\udcff", "withal: bad\\udcff"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str, line: str) -> None:
    assert complaint(text) == line


def test_complaints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "withal: no\n")
