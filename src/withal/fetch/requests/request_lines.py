"""Requests in lines of text, CSV or JSON. Pure.

The first line that is not empty determines the format. A JSON object or string: JSON. A heading, or
a URL that is followed by a comma: CSV. Anything else: one URL per line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from typing import Any, cast, final

from withal._core.aliases import JsonObject
from withal._core.credentials import text_without_credentials
from withal._core.errors import WithalError
from withal.fetch.requests.request import Request

_COLUMNS = ("url", "path", "sha256", "size")
_ALSO = {"name": "path", "file": "path", "filename": "path", "checksum": "sha256", "bytes": "size"}
_MAX_FIELD_CHARACTERS = 1 << 20  # a longer quoted field of CSV has no closing quote


@final
class RequestLineError(WithalError):
    """A line is not a request.

    Attributes:
        number: the number of the line, from 1.
        reason: what is wrong with it.
    """

    __module__ = "withal.fetch"

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason: str = text_without_credentials(reason)
        super().__init__(number, self.reason)

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}"


@final
class RequestLines:
    r"""Parses lines to requests, one after the other.

    Example:
        >>> lines = RequestLines()
        >>> lines.take("url,name,checksum,size")
        >>> lines.take("http://host.example/a,b.csv,,3")
        Request('http://host.example/a', path='b.csv', size=3)
    """

    def __init__(self) -> None:
        self._number = 0
        self._form = ""
        self._columns: tuple[str, ...] = _COLUMNS
        self._begun = ""  # a row of CSV with an open quote

    def take(self, line: str) -> Request | None:
        """Return the request of a line; None if it is empty, a comment, or incomplete.

        Raises:
            RequestLineError: if the line is invalid.
        """
        self._number += 1
        text = line.rstrip("\r\n")
        if not self._begun:
            if self._number == 1:
                text = text.removeprefix("\ufeff")
            if not text.strip() or (self._form != "json" and text.lstrip().startswith("#")):
                return None
            if not self._form:
                self._form = _form_of(text)
                if self._form == "csv" and self._take_heading(text):
                    return None
        try:
            return self._parse(text)
        except (ValueError, TypeError, csv.Error) as error:
            raise RequestLineError(self._number, str(error)) from None

    def _parse(self, text: str) -> Request | None:
        if self._form == "json":
            return _of_json(_loaded(text))
        if self._form == "csv":
            return self._of_csv(text)
        return Request(text.strip())

    def _take_heading(self, text: str) -> bool:
        """Take the names of columns from the first line, if it has them."""
        names = _cells(text)
        if "url" not in names:
            return False
        self._columns = tuple(_ALSO.get(name, name) for name in names)
        return True

    def _of_csv(self, text: str) -> Request | None:
        text = f"{self._begun}\n{text}" if self._begun else text
        if text.count('"') % 2:
            if len(text) > _MAX_FIELD_CHARACTERS:
                self._begun = ""
                raise ValueError("a quoted field does not end")
            self._begun = text
            return None
        self._begun = ""
        row = next(csv.reader([text], strict=True))
        fields = {
            name: value.strip()
            for name, value in zip(self._columns, row, strict=False)
            if name in _COLUMNS and value.strip()
        }
        if "size" in fields and not fields["size"].isdecimal():
            raise ValueError(f"the size must be a number of bytes, not {fields['size']!r}")
        return _of_fields({**fields, **({"size": int(fields["size"])} if "size" in fields else {})})


def _form_of(first: str) -> str:
    text = first.lstrip()
    if text.startswith("{") or (text.startswith(('"h', '"H')) and _is_json(text)):
        return "json"
    row = _cells(first)
    return "csv" if "url" in row or (len(row) > 1 and len(row) <= len(_COLUMNS)) else "text"


def _cells(line: str) -> list[str]:
    try:
        return [each.strip().lower() for row in csv.reader([line]) for each in row]
    except csv.Error:
        return []


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}") from None


def _of_json(record: object) -> Request:
    if isinstance(record, str):
        return Request(record)
    if not isinstance(record, dict):
        raise TypeError("the line is neither a JSON object nor a URL in quotes")
    return request_of_row(cast("JsonObject", record))


def request_of_row(row: Mapping[str, object]) -> Request:  # Any: as in `_of_fields`
    """Return the request in a row of a table, whose columns have the names of those in CSV.

    Raises:
        TypeError: if a column is missing or is of another type.
        ValueError: if its value is not valid.
    """
    return _of_fields({_ALSO.get(name, name): value for name, value in row.items()})


def _of_fields(fields: Mapping[str, Any]) -> Request:  # Any: as JSON has them, and checked here
    url, path, digest, size = (fields.get(name) for name in _COLUMNS)
    headers = fields.get("headers")
    if not isinstance(url, str):
        raise TypeError("the URL is missing")
    for name, value in (("name", path), ("checksum", digest)):
        if not isinstance(value, str | None):
            raise TypeError(f"the {name} must be a string, not {value!r}")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool)):
        raise TypeError(f"the size must be a number of bytes, not {size!r}")
    return Request(url, path or None, digest or None, size, _headers(headers))


def _headers(found: object) -> dict[str, str] | None:
    if found is None:
        return None
    if isinstance(found, dict):
        headers = cast("JsonObject", found)
        if all(isinstance(each, str) for each in headers.values()):
            return headers
    raise TypeError("the headers are no object of texts")
