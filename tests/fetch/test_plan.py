"""A plan says for each URL which file it goes to, or why it goes nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withal.fetch.plan import Job, Rejected, plan


def test_each_url_has_its_entry_in_order() -> None:
    assert plan(["http://a.example/x", "nonsense", "https://b.example:444/x?query"]) == (
        Job("http://a.example/x", "a.example:80", "x"),
        Rejected("nonsense", "no URL: it does not begin with http:// or https://"),
        Job("https://b.example:444/x?query", "b.example:444", "x-2"),
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "does not begin with"),
        ("//host.example/x", "does not begin with"),
        ("host.example/x", "does not begin with"),
        ("ftp://host.example/x", "'ftp'"),
        ("file:///etc/passwd", "'file'"),
        ("http://", "no host"),
        ("http:///x", "no host"),
        ("http://host.example:99999/", "Port"),
        ("http://host.example:port/", "port"),
        ("http://[::1/", "IPv6"),
        ("http://host.example/a b", "spaces"),
        (" http://host.example/", "spaces"),
        ("http://host.example/\n", "spaces"),
        ("http://host.example/\x00", "control"),
    ],
)
def test_what_cannot_be_fetched_is_rejected_with_a_reason(url: str, reason: str) -> None:
    (entry,) = plan([url])
    assert isinstance(entry, Rejected)
    assert entry.url == url
    assert reason in entry.reason


@pytest.mark.parametrize(
    "other",
    ["http://host.example/x", "http://host.example/x#part", "HTTP://HOST.example:80/x"],
)
def test_the_same_url_is_one_job(other: str) -> None:
    first, second = plan(["http://host.example/x", other])
    assert first is second


@pytest.mark.parametrize("other", ["http://host.example/x?1", "https://host.example/x"])
def test_another_url_is_another_job(other: str) -> None:
    first, second = plan(["http://host.example/x", other])
    assert isinstance(first, Job)
    assert isinstance(second, Job)
    assert (first.name, second.name) == ("x", "x-2")


@given(st.lists(st.text(max_size=20).map("http://host.example/".__add__), max_size=10))
def test_a_plan_is_the_same_each_time_and_names_no_file_twice(urls: list[str]) -> None:
    entries = plan(urls)
    assert entries == plan(urls)
    jobs = {entry for entry in entries if isinstance(entry, Job)}
    assert len({job.name.casefold() for job in jobs}) == len(jobs)


@given(st.text())
def test_no_text_makes_planning_fail(text: str) -> None:
    assert len(plan([text, f"http://{text}", f"http://host.example/{text}"])) == 3


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ann:s3/cret@host.example/", "the host or the port"),
        ("http://ann:s3cret@host.example:99999/", "the host or the port"),
        ("s3cret:x@host.example", "does not begin with"),
        ("ftp://ann:s3cret@host.example/", "'ftp'"),
        ("http://ann:s3 cret@host.example/", "spaces"),
    ],
)
def test_a_rejection_shows_no_password(url: str, reason: str) -> None:
    (entry,) = plan([url])
    assert isinstance(entry, Rejected)
    assert reason in entry.reason
    assert "s3" not in repr(entry)


def test_a_job_shows_no_password_and_requests_with_it() -> None:
    url = "http://ann:s3cret@host.example/x"
    ann, bob = plan([url, url.replace("ann", "bob")])
    assert isinstance(ann, Job)
    assert isinstance(bob, Job)
    assert (ann.url, ann.name, bob.name) == ("http://host.example/x", "x", "x-2")
    assert "s3cret" not in repr(ann)
    assert str(ann.request) == url


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_host_that_no_lookup_takes_is_rejected(host: str) -> None:
    (entry,) = plan([f"http://{host}/"])
    assert entry == Rejected(f"http://{host}/", "no URL: the host in it is not a valid name")
