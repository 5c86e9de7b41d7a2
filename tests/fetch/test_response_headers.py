"""What a head says is believed only as far as it is said in earnest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from withal.fetch.failures import AttemptError
from withal.fetch.transfers.redirects import carried_over, redirect_target
from withal.fetch.transfers.response_headers import (
    ContentRange,
    content_length,
    content_range,
    has_type,
    size_of_unsatisfied,
    strong_validator,
)

DATE = "Fri, 02 Jan 2026 03:04:05 GMT"
BEFORE = "Fri, 02 Jan 2026 03:03:05 GMT"
JUST_NOW = "Fri, 02 Jan 2026 03:03:06 GMT"


@pytest.mark.parametrize(
    ("headers", "header"),
    [
        ({"ETag": '"a"'}, "ETag"),
        ({"ETag": '""'}, "ETag"),
        ({"ETag": 'W/"a"'}, None),
        ({"ETag": "a"}, None),
        ({"ETag": '"a"b"'}, None),
        ({"ETag": 'W/"a"', "Last-Modified": BEFORE, "Date": DATE}, None),
        ({"Last-Modified": BEFORE, "Date": DATE}, "Last-Modified"),
        ({"Last-Modified": JUST_NOW, "Date": DATE}, None),
        ({"Last-Modified": BEFORE}, None),
        ({"Last-Modified": "yesterday", "Date": DATE}, None),
        ({"ETag": '"a"', "Accept-Ranges": "none"}, None),
        ({"ETag": '"a"', "Content-Encoding": "gzip"}, None),
        ({}, None),
    ],
)
def test_only_a_strong_validator_is_one(headers: dict[str, str], header: str | None) -> None:
    found = strong_validator(headers)
    assert (found and found.header) == header


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 0-0/1", ContentRange(0, 1, 1)),
        ("bytes 5-9/10", ContentRange(5, 10, 10)),
        ("bytes 5-9/*", ContentRange(5, 10, None)),
        ("bytes 5-10/10", None),
        ("bytes 9-5/10", None),
        ("bytes */10", None),
        ("items 0-1/2", None),
        ("bytes 0-1/\u0662", None),
        ("", None),
    ],
)
def test_a_range_is_read(text: str, expected: ContentRange | None) -> None:
    assert content_range({"Content-Range": text}) == expected


@given(st.text())
def test_no_header_breaks_reading(text: str) -> None:
    names = ("Content-Range", "Content-Length", "ETag", "Last-Modified", "Date", "Content-Type")
    headers = dict.fromkeys(names, text)
    content_range(headers), content_length(headers), size_of_unsatisfied(headers)
    strong_validator(headers)
    strong_validator({"Last-Modified": text, "Date": text})
    has_type(headers, "*")


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"Content-Length": "10"}, 10),
        ({"Content-Length": "-1"}, None),
        ({"Content-Length": "10", "Transfer-Encoding": "chunked"}, None),
        ({}, None),
    ],
)
def test_a_length_counts_only_without_another_coding(
    headers: dict[str, str], length: int | None
) -> None:
    assert content_length(headers) == length


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/y", "https://a.example/y"),
        ("y#part", "https://a.example/y"),
        ("//b.example/y", "https://b.example/y"),
        ("https://ann:s3cret@b.example/y", "https://b.example/y"),
    ],
)
def test_a_redirect_leads_on(location: str, expected: str) -> None:
    assert str(redirect_target(URL("https://a.example/x"), location)) == expected


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "file:///etc/passwd",
        "ftp://a.example/",
        "http://a.example/",
        "https://a..b/",
    ],
)
def test_a_redirect_that_must_not_be_followed_is_an_error(location: str | None) -> None:
    with pytest.raises(AttemptError, match="redirect"):
        redirect_target(URL("https://a.example/x"), location)


@pytest.mark.parametrize(
    ("target", "carried"),
    [
        ("https://a.example/y", {"Authorization", "Cookie", "X-Key", "Accept", "Range"}),
        ("https://a.example:444/y", {"Accept", "Range"}),
        ("https://b.example/y", {"Accept", "Range"}),
    ],
)
def test_secrets_go_to_no_other_origin(target: str, carried: set[str]) -> None:
    names = ("Authorization", "Cookie", "X-Key", "Accept", "Range")
    found = carried_over(dict.fromkeys(names, "x"), URL("https://a.example/x"), URL(target))
    assert set(found) == carried
