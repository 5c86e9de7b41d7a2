"""Requests come in lines of text, CSV or JSON, and what is none says what is wrong."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withal.fetch import Request, RequestFile, RequestLineError
from withal.fetch.requests.request_lines import RequestLines

A = "http://host.example/a"
B = "http://host.example/b,c"
DIGEST = "ab" * 32


def requests(text: str) -> list[Request]:
    lines = RequestLines()
    return [found for line in text.split("\n") if (found := lines.take(line)) is not None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (f"{A}\n\n# comment\n  {B}  \r\n", [Request(A), Request(B)]),
        (f"\ufeff{A}", [Request(A)]),
        (f"url\n{A}", [Request(A)]),
        (f"{A},x.txt", [Request(A, "x.txt")]),
        (f"{A},,sha256:{DIGEST.upper()},7", [Request(A, None, DIGEST, 7)]),
        (f'size,URL,extra\n7,{A},z\n,"{B}",', [Request(A, size=7), Request(B)]),
        (f'url,name\n{A},"x,\ny"', [Request(A, "x,\ny")]),
        (f'{{"url":"{A}","name":"x","size":7}}\n"{B}"', [Request(A, "x", size=7), Request(B)]),
        (f'{{"url":"{A}","headers":{{"X":"1"}}}}', [Request(A, headers={"X": "1"})]),
        (f'"{A}"', [Request(A)]),
    ],
)
def test_a_form_is_recognized(text: str, expected: list[Request]) -> None:
    assert requests(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{{"url":"{A}"}}\nnonsense', "Expecting value"),
        (f'{{"url":"{A}"}}\n[]', "neither a JSON object nor"),
        ('{"name":"x"}', "the URL is missing"),
        (f'{{"url":"{A}"', "not valid JSON"),
        (f'{{"url":"{A}","size":"7"}}', "number of bytes"),
        (f'{{"url":"{A}","size":true}}', "number of bytes"),
        (f'{{"url":"{A}","size":-1}}', "0 or more"),
        (f'{{"url":"{A}","name":7}}', "must be a string"),
        (f'{{"url":"{A}","headers":[1]}}', "headers"),
        (f'{{"url":"{A}","headers":{{"a\\r\\nb":"x"}}}}', "valid name of a header"),
        (f"url,checksum\n{A},1234", "64 hexadecimal digits"),
        (f"url,size\n{A},many", "number of bytes"),
        ("url,name\n,x", "the URL is missing"),
    ],
)
def test_the_error_for_a_line_that_is_no_request_gives_its_number(text: str, reason: str) -> None:
    with pytest.raises(RequestLineError, match=reason) as caught:
        requests(text)
    assert caught.value.number == text.count("\n") + 1


@given(st.lists(st.text(max_size=30), max_size=5))
def test_no_text_breaks_it(texts: list[str]) -> None:
    lines = RequestLines()
    for text in texts:
        with suppress(RequestLineError):
            lines.take(text)


async def test_a_file_is_read_as_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "urls"
    path.write_text("".join(f"http://host.example/{number}\n" for number in range(20_000)))
    async with RequestFile(path) as file:
        found = 0
        while some := await file.take(100):
            found += len(some)
            assert len(file._ready) < 5000
    assert found == 20_000


async def test_an_invalid_line_ends_it_unless_it_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "urls"
    path.write_text(f'{{"url":"{A}"}}\nnonsense\n"{B}"')
    async with RequestFile(path) as file:
        with pytest.raises(RequestLineError):
            await file.take(10)
    heard: list[RequestLineError] = []
    async with RequestFile(path, on_error=heard.append) as file:
        assert await file.take(10) == [Request(A)]
        assert await file.take(10) == [Request(B)]
        assert await file.take(10) == []
    assert [error.number for error in heard] == [2]


async def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    keep = os.open(path, os.O_RDWR)
    try:
        async with RequestFile(path) as file:
            os.write(keep, f"{A}\n{B[:5]}".encode())
            assert await file.take(10) == [Request(A)]
            waiting = asyncio.ensure_future(file.take(10))
            await asyncio.sleep(0)
            assert not waiting.done()
            os.write(keep, f"{B[5:]}\n".encode())
            assert await waiting == [Request(B)]
    finally:
        os.close(keep)


async def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with RequestFile(tmp_path / "none"):
            pass
