"""Text files: characters and lines on top of a binary file."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterable
from types import EllipsisType
from typing import Any, final

from withal.files.loop_budget import BUFFERED_COST
from withal.files.streams.binary import BinaryFile, size_of
from withal.files.streams.decoder import unpack
from withal.files.streams.line_reader import LineFile
from withal.files.streams.statistics import Statistics
from withal.files.streams.text_reader import TextReader
from withal.files.streams.writer import PART_OVERHEAD_BYTES


@final
class TextFile(LineFile[str]):
    """A file opened in a text mode; made by `withal.files.open`.

    Its methods are those of the standard library's `io.TextIOWrapper`, with their arguments,
    results and errors; those that may wait are coroutines. Several tasks may use one file: each
    operation is atomic, in order of arrival.

    As for `BinaryFile`, a cancelled read loses no data, and a cancelled write has queued nothing.
    Bytes that cannot be decoded raise an error in the operation that reads them ahead, and in each
    one after that, until a `seek`.

    Attributes:
        buffer: the binary file below.
        mode: the argument of `open`.
        encoding: the encoding.
        errors: how to treat data that cannot be decoded or encoded.
        line_buffering: whether written data is flushed at the end of each line.
        write_through: the argument of `reconfigure`; initially false. It has no effect, since text
            is always passed to the binary file immediately.
    """

    def __init__(
        self,
        buffer: BinaryFile,
        mode: str,
        *,
        encoding: str,
        errors: str,
        newline: str | None,
        line_buffering: bool,
    ) -> None:
        self.buffer = buffer
        self.mode = mode
        self.write_through: bool = False
        # It never changes, so a narrower type than that of `LineFile` is safe.
        self._reader: TextReader = TextReader(  # pyright: ignore[reportIncompatibleVariableOverride]
            buffer._reader, encoding, errors, newline
        )
        self._is_detached = False
        self._set_encoder(encoding, errors, newline)
        self._set_line_buffering(line_buffering)
        if buffer._writable and buffer._channel.is_positional and buffer._position():
            self._go_on_encoding(buffer._position())

    def _set_encoder(self, encoding: str, errors: str, newline: str | None) -> None:
        self.encoding = encoding
        self.errors = errors
        self._encoder = codecs.getincrementalencoder(encoding)(errors)
        self._line_end = os.linesep if newline is None else newline or "\n"
        # For an encoding without states, str.encode is used, which is faster.
        self._is_stateless = codecs.lookup(encoding).name in ("utf-8", "ascii", "iso8859-1")

    def _set_line_buffering(self, line_buffering: bool) -> None:
        self.line_buffering = line_buffering
        self._writes_at_once = self._is_stateless and not line_buffering

    # Properties

    @property
    def name(self) -> object:
        """The argument of `open`."""
        return self._binary.name

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._binary.closed

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The line endings that were met so far, if any are allowed; None if there were none."""
        return self._reader.newlines

    @property
    def _binary(self) -> BinaryFile:
        if self._is_detached:
            raise ValueError("underlying buffer has been detached")
        return self.buffer

    def __repr__(self) -> str:
        return (
            f"<withal.files.TextFile name={self.buffer.name!r} mode={self.mode!r} "
            f"encoding={self.encoding!r}>"
        )

    def fileno(self) -> int:
        """Return the descriptor; see `BinaryFile.fileno`."""
        return self._binary.fileno()

    async def readable(self) -> bool:
        """Return whether it can be read."""
        return self._binary.readable()

    async def writable(self) -> bool:
        """Return whether it can be written."""
        return await self._binary.writable()

    async def seekable(self) -> bool:
        """Return whether it has positions."""
        return await self._binary.seekable()

    async def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return await self._binary.isatty()

    def statistics(self) -> Statistics:
        """Return the counts of its operations so far."""
        return self._binary.statistics()

    # Reading

    async def read(self, size: int | None = -1, /) -> str:
        """Read `size` characters, or to the end of the file; fewer only at its end."""
        reader = self._reader
        budget, unread = reader.budget, reader.unread
        budget.remaining -= BUFFERED_COST
        if budget.remaining < 0:
            await budget.checkpoint()
        if type(size) is int and size > 0 and not reader.lock.locked():
            if unread.lines is not None:
                unread.forget_lines()
            end = unread.at + size
            if end <= len(unread.data):
                part = unread.data[unread.at : end]
                unread.at = end
                return part
        size = size_of(size)
        self._check_readable("read")
        return await reader.read(size)

    # Writing

    async def write(self, text: str, /) -> int:
        """Queue characters to be written, and return their number.

        Waits only if the queue is full. If this wait is cancelled, nothing is queued. With line
        buffering it also waits until a line is written; if that wait is cancelled, the line stays
        queued.

        Raises:
            UnicodeEncodeError: if the text cannot be encoded; nothing is queued.
            OSError: if data queued earlier could not be written; `text` is not queued.
        """
        binary = self.buffer
        writer = binary._writer
        if writer.room > 0 and self._writes_at_once:
            data = self._encode(text)
            room = writer.room - len(data) - PART_OVERHEAD_BYTES
            if room >= 0:
                writer.room = room
                writer.parts.append(data)
                return len(text)
        self._check_text(text)
        self._check_writable()
        state = self._encoder.getstate()
        self._encode(text)  # an error is raised before anything changes
        self._encoder.setstate(state)
        await binary._wait_to_write()
        # No await from here on: the encoder's state matches the queued data.
        if self._reader.is_ahead:
            self._reader.drop_ahead()
        writer.put(self._encode(text))
        if self.line_buffering and ("\n" in text or "\r" in text):
            await binary.flush()
        return len(text)

    async def writelines(self, lines: Iterable[str], /) -> None:
        """Write each of these; no newlines are added.

        A cancelled call has queued some of them, each completely.
        """
        self._check_open()
        for line in lines:
            await self.write(line)

    async def flush(self) -> None:
        """Wait until all queued data is written, as `BinaryFile.flush` does."""
        await self._binary.flush()

    async def sync(self) -> None:
        """Flush, and wait until the disk has the file, as `BinaryFile.sync` does."""
        await self._binary.sync()

    async def truncate(self, position: int | None = None, /) -> int:
        """Set the size in bytes; by default, to the end of the read-ahead data."""
        await self.flush()
        return await self._binary.truncate(position)

    async def reconfigure(
        self,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | EllipsisType | None = ...,
        line_buffering: bool | None = None,
        write_through: bool | None = None,
    ) -> None:
        """Flush, and continue with other settings; omitted ones are unchanged.

        If `encoding` is given and `errors` is not, errors are handled strictly. A cancelled call
        has changed nothing.

        Raises:
            io.UnsupportedOperation: if `encoding`, `errors` or `newline` would change while text
                that was read ahead is unread. Seek first, or read to the end.
            LookupError: if the encoding does not exist.
            ValueError: if `newline` is not valid, or the file is closed.
            OSError: if queued data could not be written.

        Example:
            >>> import asyncio, tempfile
            >>> from withal import files
            >>> async def main(path: str) -> None:
            ...     async with files.open(path, "w", encoding="ascii") as file:
            ...         await file.reconfigure(encoding="latin-1", newline="\\r\\n")
            ...         await file.write("\u00e9\\n")
            ...     print(await files.read_bytes(path))
            >>> with tempfile.NamedTemporaryFile() as file:
            ...     asyncio.run(main(file.name))
            b'\\xe9\\r\\n'
        """
        self._check_open()
        options: dict[str, Any] = {"encoding": encoding, "errors": errors}
        if newline is not ...:  # the method of the standard library does not accept Ellipsis
            options["newline"] = newline
        changes_codec = encoding is not None or errors is not None or newline is not ...
        if changes_codec:
            self._check_nothing_ahead()
        buffering = {"line_buffering": line_buffering, "write_through": write_through}
        # The standard library checks the arguments and computes the result.
        model = self._model(**options, **buffering)
        await self._binary.flush()
        if changes_codec:
            self._check_nothing_ahead()  # another task may have read meanwhile
            kept = self._reader.newline if newline is ... else newline
            codec = model.encoding, model.errors or "strict", kept
            self._reader.set_codec(*codec)
            self._set_encoder(*codec)
            if self._binary._writable and self._binary._channel.is_positional:
                self._go_on_encoding(self._binary._position())
        self._set_line_buffering(model.line_buffering)
        self.write_through = model.write_through

    def _model(self, **options: Any) -> io.TextIOWrapper:  # options of several types
        """Return a file object of the standard library with these settings."""
        model = io.TextIOWrapper(
            io.BytesIO(),
            self.encoding,
            self.errors,
            self._reader.newline,
            self.line_buffering,
            self.write_through,
        )
        model.reconfigure(**options)
        return model

    def _check_nothing_ahead(self) -> None:
        if self._reader.is_ahead:
            raise io.UnsupportedOperation(
                "It is not possible to set the encoding or newline of stream after the first read"
            )

    @staticmethod
    def _check_text(text: object) -> None:
        if not isinstance(text, str):
            name = "None" if text is None else type(text).__name__
            raise TypeError(f"write() argument must be str, not {name}")

    def _encode(self, text: str) -> bytes:
        self._check_text(text)
        if self._line_end != "\n" and "\n" in text:
            text = text.replace("\n", self._line_end)
        if self._is_stateless:
            return text.encode(self.encoding, self.errors)
        return self._encoder.encode(text)

    # Positions

    async def seek(self, position: int, whence: int = os.SEEK_SET, /) -> int:
        """Change the position: to a result of `tell`, or to the start or the end of the file."""
        self._check_open()
        if not await self.seekable():
            raise io.UnsupportedOperation("underlying stream is not seekable")
        if whence == os.SEEK_CUR:
            if position:
                raise io.UnsupportedOperation("can't do nonzero cur-relative seeks")
            position = await self.tell()
        elif whence == os.SEEK_END:
            if position:
                raise io.UnsupportedOperation("can't do nonzero end-relative seeks")
            return await self._seek_end()
        elif whence != os.SEEK_SET:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        await self._restore(position)
        self._go_on_encoding(position)
        return position

    async def tell(self) -> int:
        """Return the position, an opaque number for `seek`; for most encodings, in bytes."""
        self._check_open()
        binary = self._binary
        if not await self.seekable():
            raise io.UnsupportedOperation("underlying stream is not seekable")
        if binary._reader.is_paused:
            async with self._reader.lock:
                await binary._flush()
            return binary._position()
        position = self._reader.position()
        return binary._position() if position is None else position

    async def _seek_end(self) -> int:
        end = await self._binary.seek(0, os.SEEK_END)
        self._reader.drop_ahead()
        self._go_on_encoding(end)
        return end

    async def _restore(self, position: int) -> None:
        place = unpack(position)
        binary = self._binary
        await binary.seek(place.start)
        self._reader.move(place)
        if place.skip:
            self._reader.skip(place, await binary.read(place.feed))

    def _go_on_encoding(self, position: int) -> None:
        """Write a byte order mark at the start of the file only."""
        if position:
            self._encoder.setstate(0)
        else:
            self._encoder.reset()

    # Closing

    async def close(self) -> None:
        """Write queued data, and close the file, as `BinaryFile.close` does."""
        await self._binary.close()

    def _close_nowait(self) -> bool:
        return self._binary._close_nowait()

    def detach(self) -> BinaryFile:
        """Return the binary file below; this one cannot be used any more."""
        self._check_open()
        binary = self._binary
        self._reader.unread.set("")
        self._is_detached = True
        self._writes_at_once = False
        return binary

    # Unsupported operations

    def _check_open(self) -> None:
        if self._binary.closed:
            raise ValueError("I/O operation on closed file.")

    def _check_readable(self, operation: str) -> None:
        self._check_open()
        if not self._binary.readable():
            raise io.UnsupportedOperation("not readable")

    def _check_writable(self) -> None:
        self._check_open()
        if not self._binary._writable:
            raise io.UnsupportedOperation("not writable")
