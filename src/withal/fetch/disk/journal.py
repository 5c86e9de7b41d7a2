"""The journal of a folder: complete files, failures, and parts that can be continued.

It is a file to which lines are appended, each one JSON object. A line that is incomplete after a
crash or on a full disk is ignored, and the next one starts on a new line. Several processes may
append to one journal. The files in the folder take precedence over the journal. Every function
blocks.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import cast, final

from withal._core.aliases import JsonObject
from withal.fetch.disk.byte_ranges import ByteRanges, Span
from withal.fetch.disk.owner import Owner
from withal.fetch.fingerprints import FingerprintSet, fingerprint
from withal.fetch.requests.request import Request

JOURNAL_NAME = ".withal-fetch"
"""The name of the journal, in the folder whose files it is about."""

_quoted = json.encoder.encode_basestring_ascii
_OPEN = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


@final
@dataclass(frozen=True, slots=True)
class Validator:
    """A header that identifies the version of a file, for ``If-Range``.

    Attributes:
        header: ``ETag`` or ``Last-Modified``.
        value: its value.
    """

    header: str
    value: str


@final
@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part file that may be continued.

    Attributes:
        part: the name of the part file, in the folder of the file.
        name: the path of the file.
        key: identifies its URL.
        final: the URL after redirects, without user and password.
        validator: identifies the version of the file.
        total: the length of the whole file, if the server announced it.
        owner: the process that writes it.
        is_segmented: whether it has its full length from the start, and the journal has the ranges
            that were received.
    """

    part: str
    name: str
    key: int
    final: str
    validator: Validator
    total: int | None
    owner: Owner
    is_segmented: bool = False


@final
class History:
    """The content of a journal, in compact form.

    Attributes:
        parts: parts that were neither completed nor removed, by the path of the file.
        superseded: parts that were replaced by others before they were removed.
    """

    def __init__(self) -> None:
        self.parts: dict[str, PartRecord] = {}
        self.superseded: list[PartRecord] = []
        self._received: dict[str, ByteRanges] = {}  # by segmented part files
        self._done = FingerprintSet()
        self._failed = FingerprintSet()

    def is_done(self, key: int, name: str, size: int) -> bool:
        """Return whether a URL was fetched into this file of this length."""
        return fingerprint(f"{key:x} {size} {name}") in self._done

    def has_failed(self, key: int, name: str) -> bool:
        """Return whether a URL failed and was not fetched later."""
        return fingerprint(f"{key:x} {name}") in self._failed

    def received(self, part: str) -> tuple[Span, ...]:
        """Return the received ranges of a segmented part file."""
        ranges = self._received.get(part)
        return () if ranges is None else ranges.spans()

    def take(self, line: bytes) -> None:
        """Add one line; invalid lines are ignored."""
        record = _read(line)
        if record is None:
            return
        try:
            self._take(record)
        except (KeyError, TypeError, ValueError):
            return  # incomplete, or from a newer version

    def _take(self, record: JsonObject) -> None:
        if "done" in record:
            name = str(record["done"])
            self._done.add(fingerprint(f"{record['key']} {int(record['size'])} {name}"))
            self._failed.discard(fingerprint(f"{record['key']} {name}"))
            part = self.parts.pop(name, None)
            if part is not None:
                self._received.pop(part.part, None)
        elif "failed" in record:
            self._failed.add(fingerprint(f"{record['key']} {record['failed']}"))
        elif "received" in record:
            ranges = self._received.get(record["received"])
            if ranges is not None:
                ranges.add(max(0, int(record["from"])), int(record["to"]))
        elif "part" in record or "segmented" in record:
            part = _part_of(record)
            if part.is_segmented:
                self._received[part.part] = ByteRanges()
            old = self.parts.get(part.name)
            if old is not None and old.part != part.part:
                self.superseded.append(old)
            self.parts[part.name] = part
        elif "gone" in record:
            self._take_out(str(record["gone"]), str(record.get("name", "")))

    def _take_out(self, part: str, name: str) -> None:
        self._received.pop(part, None)
        self.superseded = [each for each in self.superseded if each.part != part]
        if name in self.parts and self.parts[name].part == part:
            del self.parts[name]


@final
class Journal:
    """The journal's file, open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = Lock()  # so that no call uses a closed descriptor

    @classmethod
    def open_in(cls, folder: int, *, create: bool = True) -> Journal:
        """Open the journal of a folder that is given by a descriptor.

        Raises:
            OSError: if it cannot be opened, or is not a regular file.
        """
        descriptor = os.open(
            JOURNAL_NAME, _OPEN if create else _OPEN & ~os.O_CREAT, 0o666, dir_fd=folder
        )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(0, "is not a regular file")
        return cls(descriptor)

    def history(self) -> History:
        """Read the whole journal."""
        history = History()
        last = b"\n"
        for line in self._lines():
            history.take(line)
            last = line
        if not last.endswith(b"\n"):
            self.append([b""])  # end the incomplete line
        return history

    def failed(self) -> Generator[Request]:
        """Yield the failed requests."""
        history = self.history()
        seen = FingerprintSet()
        for line in self._lines():
            record = _read(line)
            if record is None or "failed" not in record:
                continue
            try:
                name, key = str(record["failed"]), int(record["key"], 16)
                request = Request(
                    str(record["url"]), name, record.get("sha256"), record.get("size")
                )
            except (KeyError, TypeError, ValueError):
                continue
            if history.has_failed(key, name) and seen.add(fingerprint(f"{key:x} {name}")):
                yield request

    def append(self, lines: list[bytes]) -> None:
        """Append lines in one write, so that they are not mixed with those of other processes."""
        with self._lock:
            os.write(self._descriptor, b"".join(line + b"\n" for line in lines))

    def sync(self) -> None:
        """Flush it to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    def _lines(self) -> Generator[bytes]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            yield from file


@final
class FailedRequests:
    """The failed requests, read from the journal of a folder, some at a time.

    One thread may close it while another one reads.

    Raises:
        OSError: if the folder does not exist, or the journal cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._journal = Journal.open_in(descriptor, create=False)
        finally:
            os.close(descriptor)
        self._requests = self._journal.failed()
        self._lock = Lock()
        self._is_closed = False

    def take(self, most: int) -> list[Request]:
        """Return at most `most` requests; an empty list at the end."""
        with self._lock:
            return [] if self._is_closed else list(islice(self._requests, most))

    def close(self) -> None:
        """Close the journal."""
        with self._lock:
            self._is_closed = True
            self._requests.close()
            self._journal.close()


def done_line(name: str, url: str, key: int, size: int, validator: Validator | None) -> bytes:
    """Return the line for a file that is complete."""
    # Not by json.dumps, which takes twice as long: this is called for each small file.
    text = f'{{"done":{_quoted(name)},"url":{_quoted(url)},"key":"{key:x}","size":{size}'
    if validator is not None:
        text += f',"validator":[{_quoted(validator.header)},{_quoted(validator.value)}]'
    return f"{text}}}".encode()


def failed_line(
    name: str, url: str, key: int, reason: str, expected: Mapping[str, str | int]
) -> bytes:
    """Return the line for a file that could not be fetched."""
    return _line({"failed": name, "url": url, "key": f"{key:x}", "reason": reason, **expected})


def part_line(part: PartRecord) -> bytes:
    """Return the line for a part, which is written before the part file is created."""
    return _line(
        {
            # A different key, since a version without segments would take the length of such a
            # part file as the number of received bytes.
            "segmented" if part.is_segmented else "part": part.part,
            "name": part.name,
            "key": f"{part.key:x}",
            "final": part.final,
            "validator": [part.validator.header, part.validator.value],
            "total": part.total,
            "owner": asdict(part.owner),
        }
    )


def received_line(part: str, start: int, end: int) -> bytes:
    """Return the line for bytes that have been written to a segmented part file."""
    return f'{{"received":{_quoted(part)},"from":{start},"to":{end}}}'.encode()


def gone_line(part: str, name: str) -> bytes:
    """Return the line for a part file of a file that has been removed."""
    return _line({"gone": part, "name": name})


def _line(record: JsonObject) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def _read(line: bytes) -> JsonObject | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return cast("JsonObject", record) if isinstance(record, dict) else None


def _part_of(record: JsonObject) -> PartRecord:
    header, value = record["validator"]
    total = record["total"]
    is_segmented = "segmented" in record
    return PartRecord(
        part=_plain(record["segmented" if is_segmented else "part"]),
        name=str(record["name"]),
        key=int(record["key"], 16),
        final=str(record["final"]),
        validator=Validator(str(header), str(value)),
        total=None if total is None else int(total),
        owner=Owner(**record["owner"]),
        is_segmented=is_segmented,
    )


def _plain(name: object) -> str:
    """Return the name of a part file; reject a path to another folder."""
    text = str(name)
    if "/" in text or "\0" in text or not text.startswith("."):
        raise ValueError(f"{text!r} is not the name of a part file")
    return text
