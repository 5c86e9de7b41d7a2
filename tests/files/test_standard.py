"""Standard streams: read without a thread, and written in order with `print`.

Those of a child process are real ones: a pipe, a terminal, a file, or none.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from withal import files

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

HEAD = """
import asyncio, sys, threading
from withal import files

def threads():
    return sum(thread.name == "withal-files" for thread in threading.enumerate())

async def main():
"""


def program(body: str) -> list[str]:
    """Return the command of a program whose main coroutine this is."""
    run = "\nasyncio.run(main())\nprint('ended')\n"
    return [sys.executable, "-c", HEAD + indent(dedent(body), "    ") + run]


def result_of(body: str, stdin: int | io.BufferedReader | None = None, given: str = "") -> str:
    """Run a program and return what it writes."""
    return written_by(program(body), stdin, given)


def written_by(
    command: list[str], stdin: int | io.BufferedReader | None = None, given: str = ""
) -> str:
    source = {"input": given} if stdin is None else {"stdin": stdin}
    options: Any = {"capture_output": True, "text": True, "timeout": 60, **source}
    done = subprocess.run(command, check=False, **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert isinstance(done.stdout, str)
    return done.stdout


@contextmanager
def silent_pipe() -> Iterator[tuple[int, int]]:
    """Yield the ends of a pipe without data."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Yield the end of a terminal that programs read, and that of the keyboard."""
    keyboard, screen = pty.openpty()
    try:
        yield screen, keyboard
    finally:
        os.close(screen)
        os.close(keyboard)


Source = Callable[[], AbstractContextManager[tuple[int, int]]]

CANCELLED = """
for stream in (files.stdin, files.stdin_bytes):
    for read in (stream.readline, stream.read, stream.readlines):
        try:
            async with asyncio.timeout(0.01):
                await read()
        except TimeoutError:
            print("cancelled", threads())
"""


@pytest.mark.slow
@pytest.mark.parametrize("source", [silent_pipe, terminal])
def test_a_read_that_is_cancelled_leaves_no_thread_and_the_program_ends(source: Source) -> None:
    with source() as (stdin, _):
        assert result_of(CANCELLED, stdin) == "cancelled 0\n" * 6 + "ended\n"


CANCELLED_THEN_READ = """
task = asyncio.create_task(files.stdin.readline())
await asyncio.sleep(0.01)
task.cancel()
await asyncio.wait([task])
print("cancelled", flush=True)
print(repr(await files.stdin.readline()))
print(repr(await files.stdin.readline()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("source", [silent_pipe, terminal])
def test_a_cancelled_read_loses_nothing(source: Source) -> None:
    with source() as (stdin, writer):
        os.write(writer, b"fir")  # of a terminal, nothing before the line has ended
        child = subprocess.Popen(
            program(CANCELLED_THEN_READ), stdin=stdin, stdout=subprocess.PIPE, text=True
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "cancelled\n"
            os.write(writer, b"st\nsecond\n")
            assert child.stdout.read() == "'first\\n'\n'second\\n'\nended\n"


READ_ALL = """
print(await files.stdin.isatty(), await files.stdin.seekable(), files.stdin.name)
print(repr(await files.stdin.readline()))
print(repr(await files.stdin.read()))
print(repr(await files.stdin.read()))
"""


@pytest.mark.slow
def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one\ntwo\n")
    with open(tmp_path / "file", "rb") as stdin:
        written = result_of(READ_ALL, stdin)
    assert written == "False True <stdin>\n'one\\n'\n'two\\n'\n''\nended\n"


@pytest.mark.slow
def test_a_pipe_is_read_to_its_end() -> None:
    written = result_of(READ_ALL, given="one\ntwo\n")
    assert written == "False False <stdin>\n'one\\n'\n'two\\n'\n''\nended\n"


@pytest.mark.slow
def test_nothing_is_read_from_the_null_device() -> None:
    written = result_of(READ_ALL, subprocess.DEVNULL)
    assert written.splitlines()[1:] == ["''", "''", "''", "ended"]


@pytest.mark.slow
def test_a_terminal_is_one() -> None:
    with terminal() as (stdin, keyboard):
        os.write(keyboard, b"one\ntwo\n\x04\x04")  # the end, twice: it is one for each read
        assert result_of(READ_ALL, stdin).startswith("True False <stdin>\n'one\\n'\n'two\\n'\n")


@pytest.mark.slow
def test_lines_are_iterated_and_bytes_go_on_where_they_are() -> None:
    body = """
    first = await files.stdin_bytes.readline()
    lines = [line async for line in files.stdin]
    print(first, lines)
    """
    assert result_of(body, given="a\nb\nc\n") == "b'a\\n' ['b\\n', 'c\\n']\nended\n"


@pytest.mark.slow
def test_what_was_read_ahead_stays_for_the_next_loop() -> None:
    body = """
    async def two_at_once():
        return await asyncio.gather(files.stdin.readline(), files.stdin.readline())
    def run():
        print(asyncio.run(two_at_once()))
    run()
    run()
    """
    code = program("pass")[-1].split("async def main")[0] + dedent(body)
    written = written_by([sys.executable, "-c", code], given="1\n2\n3\n")
    assert written == "['1\\n', '2\\n']\n['3\\n', '']\n"


@pytest.mark.slow
def test_tasks_of_the_next_loop_wait_for_each_other_too() -> None:
    body = """
    async def two_at_once():
        tasks = [asyncio.create_task(files.stdin.readline()) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0)
        print("waiting", flush=True)
        print(await asyncio.gather(*tasks), flush=True)
    asyncio.run(two_at_once())
    asyncio.run(two_at_once())
    """
    code = program("pass")[-1].split("async def main")[0] + dedent(body)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for first, second in (("1\n", "2\n"), ("3\n", "4\n")):
            assert child.stdout.readline() == "waiting\n"
            child.stdin.write(first + second)
            child.stdin.flush()
            assert child.stdout.readline() == f"{[first, second]}\n"


WITHOUT_STREAMS = """
lost = []
for stream in (files.stdin, files.stdin_bytes):
    try:
        await stream.read()
    except RuntimeError as error:
        lost.append(str(error))
print(lost)
"""


@pytest.mark.slow
def test_without_standard_input_the_error_says_so() -> None:
    shell = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *program(WITHOUT_STREAMS)]
    assert written_by(shell).count("lost sys.stdin: it is None") == 2


@pytest.mark.slow
def test_closing_standard_input_closes_it() -> None:
    body = """
    await files.stdin.close()
    await files.stdin.close()
    print(files.stdin.closed, sys.stdin.closed)
    try:
        await files.stdin.read()
    except ValueError as error:
        print(error)
    """
    written = result_of(body, given="text")
    assert written.splitlines() == ["True True", "I/O operation on closed file.", "ended"]


@pytest.mark.slow
def test_output_keeps_its_order_with_print() -> None:
    body = """
    print("one")
    await files.stdout.write("two\\n")
    print("three")
    await files.stdout.flush()
    await files.stdout_bytes.write(b"four\\n")
    print("five")
    await asyncio.gather(*(files.stdout.write(f"{number}\\n") for number in range(3)))
    """
    lines = ["one", "two", "three", "four", "five", "0", "1", "2", "ended"]
    assert result_of(body).splitlines() == lines


async def test_replaced_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))
    assert await files.stdin.readline() == "one\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("three\nfour\n"))
    assert [line async for line in files.stdin] == ["three\n", "four\n"]
    with pytest.raises(AttributeError):  # as sys.stdin.buffer is none
        await files.stdin_bytes.read()


async def test_input_replaced_by_a_file_that_is_decompressed_is_read_through_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with gzip.open(tmp_path / "file.gz", "wt") as file:
        file.write("one\n")
    with gzip.open(tmp_path / "file.gz", "rt") as replaced:
        monkeypatch.setattr(sys, "stdin", replaced)
        assert await files.stdin.read() == "one\n"


async def test_input_replaced_by_a_file_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes("é\r\n".encode("latin-1") * 2)
    with open(tmp_path / "file", encoding="latin-1") as replaced:
        monkeypatch.setattr(sys, "stdin", replaced)
        assert await files.stdin.readline() == "é\n"
        assert await files.stdin.tell() == 3
        assert files.stdin.encoding == "latin-1"
        assert files.stdin.readable()
        async with files.stdin:
            assert await files.stdin.readlines() == ["é\n"]
        assert replaced.closed


async def test_replaced_output_is_written_to() -> None:
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
        await files.stdout.write("out\n")
        await files.stderr.writelines(["err", "or\n"])
    assert (output.getvalue(), errors.getvalue()) == ("out\n", "error\n")
    below = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(below, "ascii")):
        await files.stdout_bytes.write(b"\xff")
        assert files.stdout.encoding == "ascii"
        await files.stdout.flush()
        assert below.getvalue() == b"\xff"


async def test_lost_output_raises_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
        for stream in (getattr(files, name), getattr(files, f"{name}_bytes")):
            with pytest.raises(RuntimeError, match=f"lost sys.{name}: .* >/dev/null"):
                await stream.write("text")


def test_they_say_what_they_are() -> None:
    assert repr(files.stdin_bytes) == "<withal.files.stdin_bytes>"
