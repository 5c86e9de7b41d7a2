"""What type checkers make of `withal.files` where it takes and gives more than one type."""

from __future__ import annotations

import io
import pathlib
from typing import assert_type

from withal import files


class Special(files.Path):
    """A subclass, which keeps its type."""


async def paths(special: Special, path: files.Path) -> None:
    """Paths of a subclass lead to paths of the subclass."""
    assert_type(special / "a", Special)
    assert_type(special.parent, Special)
    assert_type(special.with_stem("a"), Special)
    assert_type(await special.resolve(), Special)
    assert_type(await special.rename("a"), Special)
    assert_type(await special.copy("a"), Special)
    assert_type(await special.copy(pathlib.Path("a")), Special)
    assert_type(await special.move_into("a"), Special)
    assert_type(await path.copy(special), Special)
    assert_type(await Special.cwd(), Special)
    assert_type(await path.info.is_dir(), bool)
    async for each in special.iterdir():
        assert_type(each, Special)


async def calls(file: files.BinaryFile, text: files.TextFile) -> None:
    """Files of one kind are copied to files of that kind, and calls keep their overloads."""
    await files.os.copyfileobj(file, io.BytesIO())
    await files.os.copyfileobj(io.StringIO(), text)
    assert_type(await files.os.path.realpath("a"), str)
    assert_type(await files.os.path.realpath(b"a"), bytes)
    assert_type(await files.os.which("sh"), str | None)
    await text.reconfigure(encoding="utf-8", newline=None)
