"""A plan says for each URL which file it goes to, or why it goes nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from withal.fetch import Layout, Request
from withal.fetch.plan import Job, Planned, Planner, Rejected


def plan(urls: list[str], layout: Layout = Layout.FLAT) -> list[Planned | None]:
    """Return what is to be done about each URL, None for a repetition."""
    planner = Planner(layout)
    return [planner.place(Request(url))[1] for url in urls]


def names(urls: list[str], layout: Layout = Layout.FLAT) -> list[str]:
    return [entry.name for entry in plan(urls, layout) if isinstance(entry, Job)]


def test_each_url_has_its_entry_in_order() -> None:
    assert plan(["http://a.example/x", "nonsense", "https://b.example:444/x?query"]) == [
        Job("http://a.example/x", "a.example:80", "x", URL("http://a.example/x")),
        Rejected("nonsense", "not a valid URL: it does not begin with http:// or https://"),
        Job(
            "https://b.example:444/x?query",
            "b.example:444",
            "x-2",
            URL("https://b.example:444/x?query"),
        ),
    ]


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
    assert isinstance(first, Job)
    assert second is None


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
    jobs = [entry for entry in entries if isinstance(entry, Job)]
    assert len({job.name.casefold() for job in jobs}) == len(jobs)


@given(st.text())
def test_no_text_makes_planning_fail(text: str) -> None:
    assert len(plan([text, f"http://{text}", f"http://host.example/{text}"])) == 3


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ann:s3/cret@host.example/", "its host or its port"),
        ("http://ann:s3cret@host.example:99999/", "its host or its port"),
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


def test_a_job_shows_no_password_and_has_it_as_a_header() -> None:
    url = "http://ann:s3cret@host.example/x"
    ann, bob = plan([url, url.replace("ann", "bob")])
    assert isinstance(ann, Job)
    assert isinstance(bob, Job)
    assert (ann.url, ann.name, bob.name) == ("http://host.example/x", "x", "x-2")
    assert "s3cret" not in repr(ann)
    assert str(ann.target) == "http://host.example/x"
    assert ann.authorization == "Basic YW5uOnMzY3JldA=="
    assert bob.authorization != ann.authorization


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_host_that_no_lookup_takes_is_rejected(host: str) -> None:
    (entry,) = plan([f"http://{host}/"])
    assert entry == Rejected(f"http://{host}/", "not a valid URL: its host is not a valid name")


def test_a_tree_has_the_paths_of_the_servers() -> None:
    urls = [
        "http://a.example/x/y.txt",
        "http://a.example:8080/x/y.txt",
        "http://a.example/x/",
        "http://a.example/",
        "http://a.example/../../etc/passwd",
        "http://a.example/%2e%2e/%2e%2e%2fetc",
        "http://a.example/.git/config",
    ]
    assert names(urls, Layout.TREE) == [
        "a.example/x/y.txt",
        "a.example_8080/x/y.txt",
        "a.example/x/index.html",
        "a.example/index.html",
        "a.example/etc/passwd",
        "a.example/_etc",
        "a.example/git/config",
    ]


def test_no_file_of_a_tree_has_the_name_of_a_folder() -> None:
    urls = [
        "http://a.example/x",
        "http://a.example/x/y",
        "http://a.example/z/1",
        "http://a.example/z",
    ]
    assert names(urls, Layout.TREE) == [
        "a.example/x",
        "a.example/x-2/y",
        "a.example/z/1",
        "a.example/z-2",
    ]


def test_names_by_hash_are_those_of_the_url() -> None:
    (name,) = names(["http://a.example/x.csv"], Layout.HASH)
    folder, slash, file = name.partition("/")
    assert (len(folder), slash, len(file)) == (2, "/", 62 + len(".csv"))
    assert names(["http://b.example/", "http://a.example/x.csv"], Layout.HASH)[1] == name


@pytest.mark.parametrize("path", ["a.txt", "a/b/c.txt", "caf\u00e9"])
def test_a_path_that_is_asked_for_is_taken_as_it_is(path: str) -> None:
    _, entry = Planner().place(Request("http://a.example/x", path))
    assert isinstance(entry, Job)
    assert entry.name == path


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", ".bashrc", "a/.git/x", "nul", "a\0b", "x "],
)
def test_a_path_that_is_not_safe_is_rejected(path: str) -> None:
    _, entry = Planner().place(Request("http://a.example/x", path))
    assert isinstance(entry, Rejected)
    assert "is not a safe path" in entry.reason


def test_a_path_is_given_once_whatever_its_case() -> None:
    planner = Planner()
    entries = [
        planner.place(Request(f"http://a.example/{number}", path))[1]
        for number, path in enumerate(["a/b", "A/B", "a", "a/b/c", "c"])
    ]
    assert [isinstance(entry, Job) for entry in entries] == [True, False, False, False, True]


def test_the_same_url_may_go_to_two_paths() -> None:
    planner = Planner()
    marks = [planner.place(Request("http://a.example/x", path)) for path in ("a", "b", "a")]
    assert [entry is None for _, entry in marks] == [False, False, True]
    assert marks[0][0] == marks[2][0] != marks[1][0]
