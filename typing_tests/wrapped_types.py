"""What type checkers make of `withal.files.wrap`."""

from __future__ import annotations

import gzip
import io
import sys
import tempfile
from typing import IO, BinaryIO, TextIO, assert_type

from withal.files import WrappedFile, wrap


def text(file: TextIO, other: IO[str], temporary: tempfile.SpooledTemporaryFile[str]) -> None:
    assert_type(wrap(file), WrappedFile[str])
    assert_type(wrap(other), WrappedFile[str])
    assert_type(wrap(sys.stdout), WrappedFile[str])
    assert_type(wrap(io.StringIO()), WrappedFile[str])
    assert_type(wrap(temporary), WrappedFile[str])


def binary(file: BinaryIO, other: IO[bytes], raw: io.FileIO, compressed: gzip.GzipFile) -> None:
    assert_type(wrap(file), WrappedFile[bytes])
    assert_type(wrap(other), WrappedFile[bytes])
    assert_type(wrap(io.BytesIO()), WrappedFile[bytes])
    assert_type(wrap(compressed), WrappedFile[bytes])
    assert_type(wrap(raw), WrappedFile[bytes])


async def used(file: WrappedFile[str]) -> None:
    assert_type(await file.readline(), str)
    assert_type(await file.write("text"), int)
    async for line in file:
        assert_type(line, str)
    async with file as same:
        assert_type(same, WrappedFile[str])


def refused() -> None:
    wrap("file.txt")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
