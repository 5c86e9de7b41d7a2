"""A server that misbehaves, each path in a way of its own, and what is to come of it.

Run as a program it is a real server process, on the port that it is given, or on one that it
prints, until its standard input ends.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from hashlib import blake2b

SIZE = 1_300_000
HALF = SIZE // 2
BIG = 12_000_000
LARGE = 18_000_000  # enough for four connections
HALVES = 9_000_000  # enough for two
LIMIT = 20_000_000  # of a file, for those who fetch


def content(name: str, size: int = SIZE) -> bytes:
    """Return the bytes of a file."""
    block = b"".join(blake2b(f"{name}{n}".encode()).digest() for n in range(256))
    return (block * (size // len(block) + 1))[:size]


def changed(name: str) -> bytes:
    """Return what a file is after it has changed, at the same length."""
    return content(f"changed {name}")


@dataclass
class Exchange:
    """One request, and where its answer goes."""

    path: str
    headers: dict[str, str]
    writer: asyncio.StreamWriter
    number: int  # of the requests for this path, from 1

    @property
    def start(self) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else None

    @property
    def span(self) -> tuple[int, int] | None:
        """The bytes that are asked for, the last exclusive, if they are bounded."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(found[1]), int(found[2]) + 1) if found else None

    async def head(self, status: str, *headers: str) -> None:
        lines = "\r\n".join((f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""))
        await self.raw(lines.encode("latin-1"))

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def whole(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        await self.head(status, f"Content-Length: {len(body)}", *headers)
        await self.raw(body)

    async def slowly(self, body: bytes) -> None:
        for place in range(0, len(body), 100_000):
            await self.raw(body[place : place + 100_000])
            await asyncio.sleep(0.004)


Behaviour = Callable[[Exchange], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {}
EXPECTED: dict[str, bytes | str] = {}  # the file, or what the failure says
ALSO: dict[str, bytes] = {}  # what a file may be besides, if it was there before it changed


def behaviour(expected: bytes | str | None = None) -> Callable[[Behaviour], Behaviour]:
    """Register a behaviour under its name; the file is `content` of it where nothing is said."""

    def register(function: Behaviour) -> Behaviour:
        name = function.__name__
        BEHAVIOURS[name] = function
        EXPECTED[name] = content(name) if expected is None else expected
        return function

    return register


TAG = 'ETag: "one"'


@behaviour()
async def whole(it: Exchange) -> None:
    await it.whole(content(it.path), TAG)


@behaviour(b"")
async def empty(it: Exchange) -> None:
    await it.whole(b"")


@behaviour()
async def chunked(it: Exchange) -> None:
    await it.head("200 OK", "Transfer-Encoding: chunked")
    body = content(it.path)
    for place in range(0, len(body), 70_001):
        piece = body[place : place + 70_001]
        await it.raw(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece))
    await it.raw(b"0\r\nTrailer: x\r\n\r\n")


@behaviour()
async def until_the_connection_closes(it: Exchange) -> None:
    await it.raw(b"HTTP/1.0 200 OK\r\n\r\n" + content(it.path))


@behaviour()
async def short_once(it: Exchange) -> None:
    body = content(it.path)
    await it.head("200 OK", f"Content-Length: {len(body)}")
    await it.raw(body if it.number > 1 else body[:HALF])


@behaviour("ended (too early|after)")
async def short_always(it: Exchange) -> None:
    await it.head("200 OK", f"Content-Length: {SIZE}")
    await it.raw(content(it.path)[:-1])


@behaviour()
async def goes_on_after_its_length(it: Exchange) -> None:
    await it.whole(content(it.path))
    await it.raw(b"x" * 1000)


@behaviour()
async def chunks_cut_once(it: Exchange) -> None:
    body = content(it.path)
    await it.head("200 OK", "Transfer-Encoding: chunked")
    await it.raw(b"%x\r\n%s\r\n" % (len(body), body) if it.number > 1 else b"%x\r\n" % len(body))
    await it.raw(b"0\r\n\r\n" if it.number > 1 else body[:HALF])


@behaviour("ended too early|malformed")
async def chunks_cut_always(it: Exchange) -> None:
    await it.head("200 OK", "Transfer-Encoding: chunked")
    await it.raw(b"%x\r\n%s\r\n" % (HALF, content(it.path)[:HALF]))


# aiohttp 3.14.5 has been seen to wait for the body without end; then the idle timeout ends it.
@behaviour("malformed|not HTTP|too early|closed|sent nothing for")
async def chunk_of_no_size(it: Exchange) -> None:
    await it.head("200 OK", "Transfer-Encoding: chunked")
    await it.raw(b"zz\r\n" + content(it.path))


@behaviour("not HTTP")
async def two_lengths(it: Exchange) -> None:
    await it.head("200 OK", "Content-Length: 5", "Content-Length: 6")
    await it.raw(b"123456")


@behaviour("not HTTP")
async def negative_length(it: Exchange) -> None:
    await it.head("200 OK", "Content-Length: -5")
    await it.raw(b"12345")


@behaviour("not HTTP|without an answer")
async def no_http(it: Exchange) -> None:
    await it.raw(b"SSH-2.0-OpenSSH_9.2\r\n" + content(it.path))


async def ranged(it: Exchange, body: bytes, tag: str = TAG) -> None:
    """Answer as one should, and break off at a half the first time."""
    start = it.start
    value = tag.partition(": ")[2]
    if start is not None and start < len(body) and it.headers.get("if-range") == value:
        rest = body[start:]
        span = f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}"
        await it.head("206 Partial Content", f"Content-Length: {len(rest)}", span, tag)
        await it.slowly(rest)
        return
    await it.head("200 OK", f"Content-Length: {len(body)}", tag)
    await it.slowly(body if it.number > 1 else body[: len(body) // 2])


@behaviour()
async def continued(it: Exchange) -> None:
    await ranged(it, content(it.path))


@behaviour(changed("changes_meanwhile"))
async def changes_meanwhile(it: Exchange) -> None:
    if it.number == 1:
        await ranged(it, content(it.path))
    else:
        await ranged(it, changed(it.path), 'ETag: "two"')


@behaviour()
async def ignores_ranges(it: Exchange) -> None:
    if it.number == 1:
        await ranged(it, content(it.path))
    else:
        await it.whole(content(it.path), TAG)


async def lying(it: Exchange, status: str, *headers: str) -> None:
    """Answer a request for a range wrongly."""
    if it.start is None:
        await ranged(it, content(it.path))
    else:
        await it.whole(changed(it.path)[it.start :], *headers, status=status)


@behaviour()
async def another_range(it: Exchange) -> None:
    await lying(it, "206 Partial Content", f"Content-Range: bytes 7-{SIZE - 1}/{SIZE}", TAG)


@behaviour()
async def another_total(it: Exchange) -> None:
    start = it.start or 0
    await lying(it, "206 Partial Content", f"Content-Range: bytes {start}-{SIZE}/{SIZE + 1}", TAG)


@behaviour()
async def another_tag_in_a_range(it: Exchange) -> None:
    start = it.start or 0
    span = f"Content-Range: bytes {start}-{SIZE - 1}/{SIZE}"
    await lying(it, "206 Partial Content", span, 'ETag: "two"')


@behaviour()
async def a_range_without_its_place(it: Exchange) -> None:
    await lying(it, "206 Partial Content", TAG)


@behaviour()
async def ranges_in_parts(it: Exchange) -> None:
    await lying(it, "206 Partial Content", "Content-Type: multipart/byteranges; boundary=x", TAG)


@behaviour()
async def not_satisfiable(it: Exchange) -> None:
    await lying(it, "416 Range Not Satisfiable", "Content-Range: bytes */5")


@behaviour()
async def weakly_tagged(it: Exchange) -> None:
    if it.start is not None:
        await it.whole(changed(it.path), status="400 Bad Request")
    else:
        await ranged(it, content(it.path), 'ETag: W/"one"')


@behaviour("answered 206")
async def a_range_that_nobody_asked_for(it: Exchange) -> None:
    await it.whole(b"x" * 5, "Content-Range: bytes 0-4/5", status="206 Partial Content")


@behaviour()
async def names_its_file(it: Exchange) -> None:
    await it.whole(content(it.path), 'Content-Disposition: attachment; filename="../../../evil"')


BOMB = gzip.compress(bytes(50_000_000), 1, mtime=0)


@behaviour(BOMB)
async def bomb(it: Exchange) -> None:
    await it.whole(BOMB, "Content-Encoding: gzip")


@behaviour("longer than")
async def endless(it: Exchange) -> None:
    await it.head("200 OK")
    while True:
        await it.raw(bytes(1 << 20))


@behaviour("longer than")
async def too_long(it: Exchange) -> None:
    await it.head("200 OK", f"Content-Length: {LIMIT + 1}")
    await it.raw(bytes(LIMIT + 1))


@behaviour("no space for|longer than")
async def larger_than_the_disk(it: Exchange) -> None:
    await it.head("200 OK", "Content-Length: 90000000000000000")
    await it.raw(bytes(10_000_000))


@behaviour("sent nothing for")
async def silent(it: Exchange) -> None:
    await asyncio.sleep(60)


@behaviour("sent nothing for")
async def stalls(it: Exchange) -> None:
    await it.head("200 OK", f"Content-Length: {SIZE}")
    await it.raw(content(it.path)[:HALF])
    await asyncio.sleep(60)


@behaviour("sent nothing for")
async def stalls_before_the_connection_closes(it: Exchange) -> None:
    await it.raw(b"HTTP/1.0 200 OK\r\n\r\n" + content(it.path)[:HALF])
    await asyncio.sleep(60)


@behaviour("sent nothing for")
async def head_without_end(it: Exchange) -> None:
    await it.raw(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(600):
        await it.raw(b"x")
        await asyncio.sleep(0.1)


@behaviour(b"0123456789" * 2)
async def dribbles(it: Exchange) -> None:
    await it.head("200 OK", "Content-Length: 20")
    for byte in b"0123456789" * 2:
        await it.raw(bytes([byte]))
        await asyncio.sleep(0.02)


async def busy(it: Exchange, status: str, retry_after: str) -> None:
    if it.number == 1:
        await it.whole(b"busy", f"Retry-After: {retry_after}", status=status)
    else:
        await it.whole(content(it.path))


@behaviour()
async def busy_for_seconds(it: Exchange) -> None:
    await busy(it, "429 Too Many Requests", "1")


@behaviour()
async def busy_until_a_date(it: Exchange) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    await busy(it, "503 Service Unavailable", format_datetime(soon, usegmt=True))


@behaviour()
async def busy_for_ever(it: Exchange) -> None:
    await busy(it, "503 Service Unavailable", "9" * 40)


@behaviour()
async def busy_for_nonsense(it: Exchange) -> None:
    await busy(it, "503 Service Unavailable", "soon, \xa7 -1")


@behaviour("redirected more than")
async def leads_in_circles(it: Exchange) -> None:
    await it.whole(b"", f"Location: /{it.path}?{it.number}", status="302 Found")


@behaviour("redirect")
async def leads_to_a_file(it: Exchange) -> None:
    await it.whole(b"", "Location: file:///etc/passwd", status="302 Found")


@behaviour("redirect")
async def leads_nowhere(it: Exchange) -> None:
    await it.whole(b"", status="302 Found")


@behaviour(content("whole"))
async def leads_on(it: Exchange) -> None:
    await it.whole(b"elsewhere", "Location: /whole", status="307 Temporary Redirect")


@behaviour(b"no secrets")
async def leads_to_another_origin(it: Exchange) -> None:
    port = it.headers["host"].rpartition(":")[2]
    secret = {"authorization", "cookie", "x-secret"} & set(it.headers)
    if it.headers["host"].startswith("localhost"):
        await it.whole(b"secrets: " + ",".join(secret).encode() if secret else b"no secrets")
    elif "x-secret" not in it.headers:
        await it.whole(b"it was not sent", status="400 Bad Request")
    else:
        await it.whole(b"", f"Location: http://localhost:{port}/{it.path}", status="302 Found")


@behaviour("not HTTP|closed|reset")
async def header_flood(it: Exchange) -> None:
    await it.raw(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        await it.raw(b"X-%d: %s\r\n" % (number, b"x" * 100))


@behaviour("not HTTP|closed|reset")
async def long_header(it: Exchange) -> None:
    await it.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\n")


@behaviour()
async def early_hints(it: Exchange) -> None:
    await it.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    await it.whole(content(it.path))


@behaviour("answered 404")
async def speaks_to_the_terminal(it: Exchange) -> None:
    await it.whole(b"", status="404 \x1b[2J\x1b]0;owned\x07")


@behaviour("answered 500")
async def broken(it: Exchange) -> None:
    await it.whole(b"", status="500 Internal Server Error")


@behaviour("answered 304")
async def not_modified(it: Exchange) -> None:
    await it.head("304 Not Modified", TAG)


@behaviour("answered 204")
async def no_content(it: Exchange) -> None:
    await it.head("204 No Content")


@behaviour()
async def resets_once(it: Exchange) -> None:
    if it.number == 1:
        await it.head("200 OK", f"Content-Length: {SIZE}")
        await it.raw(content(it.path)[:HALF])
        it.writer.transport.abort()
    else:
        await it.whole(content(it.path))


@behaviour("without an answer|reset")
async def closes_without_an_answer(it: Exchange) -> None:
    it.writer.transport.abort()


@behaviour(content("big", BIG))
async def big(it: Exchange) -> None:
    it.number = 2
    await ranged(it, content(it.path, BIG))


# Files that are large enough for several connections


@cache
def large(name: str) -> bytes:
    return content(name, LARGE if name == "in_segments" else HALVES)


def large_behaviour(function: Behaviour) -> Behaviour:
    name = function.__name__
    ALSO[name] = large(f"changed {name}")
    return behaviour(large(name))(function)


async def segmented(
    it: Exchange,
    *lies: str,
    body: bytes | None = None,
    status: str = "206 Partial Content",
    tag: str = TAG,
    cut: int = LARGE,
) -> None:
    """Answer as one should, but for what is said; `cut` is how much comes on one connection."""
    body = large(it.path) if body is None else body
    size = len(body)
    span = it.span or (None if it.start is None else (it.start, size))
    if span is None or it.headers.get("if-range") != '"one"':
        await it.head("200 OK", f"Content-Length: {size}", "Accept-Ranges: bytes", tag)
        await it.slowly(large(it.path)[:cut])
        return
    start, end = span
    told = lies or (f"Content-Range: bytes {start}-{end - 1}/{size}", tag)
    await it.head(status, f"Content-Length: {end - start}", *told)
    await it.slowly(body[start : min(end, start + cut)])


@large_behaviour
async def in_segments(it: Exchange) -> None:
    await segmented(it)


@large_behaviour
async def segments_ignored(it: Exchange) -> None:
    await it.whole(large(it.path), TAG, "Accept-Ranges: bytes")


@large_behaviour
async def segments_of_another_place(it: Exchange) -> None:
    start, end = it.span or (it.start or 0, HALVES)
    lie = f"Content-Range: bytes {start - 1}-{end - 2}/{HALVES}"
    await segmented(it, lie, TAG, body=ALSO[it.path])


@large_behaviour
async def segments_of_another_length(it: Exchange) -> None:
    start, end = it.span or (it.start or 0, HALVES)
    lie = f"Content-Range: bytes {start}-{end - 1}/{HALVES + 1}"
    await segmented(it, lie, TAG, body=ALSO[it.path])


@large_behaviour
async def segments_without_a_place(it: Exchange) -> None:
    await segmented(it, TAG, body=ALSO[it.path])


@large_behaviour
async def segments_without_a_tag(it: Exchange) -> None:
    start, end = it.span or (it.start or 0, HALVES)
    if it.span is None:  # what is continued on one connection is believed without a tag
        await segmented(it)
    else:
        lie = f"Content-Range: bytes {start}-{end - 1}/{HALVES}"
        await segmented(it, lie, body=ALSO[it.path])


@large_behaviour
async def segments_of_another_file(it: Exchange) -> None:
    await segmented(it, body=ALSO[it.path], tag=TAG if it.number == 1 else 'ETag: "two"')


@large_behaviour
async def segments_not_satisfiable(it: Exchange) -> None:
    await segmented(it, f"Content-Range: bytes */{HALVES}", status="416 Range Not Satisfiable")


@large_behaviour
async def segments_refused_as_too_many(it: Exchange) -> None:
    if it.span is not None:
        await it.whole(b"one at a time", "Retry-After: 1", status="429 Too Many Requests")
    else:
        await segmented(it)


@large_behaviour
async def segments_cut_short(it: Exchange) -> None:
    await segmented(it, cut=2_500_000)


@large_behaviour
async def segments_that_change_after_the_third(it: Exchange) -> None:
    if it.number <= 3:
        await segmented(it)
    else:
        await it.whole(ALSO[it.path], 'ETag: "two"', "Accept-Ranges: bytes")


@large_behaviour
async def segments_weakly_tagged(it: Exchange) -> None:
    await segmented(it, body=ALSO[it.path], tag='ETag: W/"one"')


@behaviour(large("in_segments"))
async def leads_to_segments(it: Exchange) -> None:
    await it.whole(b"", "Location: /in_segments", status="302 Found")


# Names that must not be taken as they are, and what they become.
NAMES = {
    "..%2F..%2Fescaped": "escaped",
    ".bashrc": "bashrc",
    "nul.txt": "_nul.txt",
    "%2Fetc%2Fabsolute": "absolute",
    "gpj%E2%80%AE.exe": "gpj_.exe",
    "CASE": "CASE",
    "case": "case-2",
    "l" * 300: "l" * 224,
    "a%00b": "a_b",
    "%1B%5B2J": "_[2J",
    ".withal-fetch": "withal-fetch",
}


class Server:
    """Answers, and counts what it was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.log: list[tuple[str, int | None, tuple[int, int] | None]] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rest = request.split("\r\n")
            path = line.split(" ")[1].partition("?")[0].lstrip("/")
            if line.startswith("HEAD "):  # which some send first
                writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            if path == "_log":
                body = json.dumps(self.log).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                return
            pairs = (each.partition(": ") for each in rest if each)
            headers = {name.lower(): value for name, _, value in pairs}
            self.asked[path] += 1
            it = Exchange(path, headers, writer, self.asked[path])
            self.log.append((path, it.start, it.span))
            if path in NAMES:
                await it.whole(content(path, 1000))
            elif path in BEHAVIOURS:
                await BEHAVIOURS[path](it)
            else:
                await it.whole(b"", status="404 Not Found")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()


async def serve(port: int) -> None:
    server = await asyncio.start_server(Server().handle, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if sys.argv[1:] else 0))
