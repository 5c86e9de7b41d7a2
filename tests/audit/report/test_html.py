"""The report as HTML: one page that needs nothing else, whatever was seen."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.audit.records import (
    ALL,
    EMPTY,
    EVERYWHERE_HOSTILE,
    FAILED,
    HOSTILE,
    SAFE,
    SUSPENSIONS,
    UNSAFE,
    after,
    attempt,
    record,
)
from withal.audit.report.html import render
from withal.audit.report.record import AuditRecord, Category, Delivery


@pytest.fixture(autouse=True)
def in_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


class Page(HTMLParser):
    """What a parser of HTML sees of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.comments: list[str] = []
        self._within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = f"{tag}#{dict(attrs)['id']}" if "id" in dict(attrs) else tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._within] = self.texts.get(self._within, "") + data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script#data"])


def words_of(told: AuditRecord) -> str:
    """Return what stands in the page before any script has run."""
    body = render(told).split("<body>")[1].split("<main>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_the_verdict_and_what_was_tried_stand_in_the_page_itself() -> None:
    assert words_of(UNSAFE) == (
        "withal audit use_pool unsafe 4 of 8 attempts went wrong"
        " Left behind, but not a finding: the cache&#x27;s thread: it lives as long as the process"
        " attempts 8 suspensions 5 deliveries early, late depth 1"
        " on asyncio, CPython 3.11.2 took 0.25 s"
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (SAFE, "This is evidence for the schedules that were tried, not a proof."),
        (FAILED, "RuntimeError: no such host raised in setup"),
        (EMPTY, "unresolved no attempt was made two runs waited at different places"),
    ],
)
def test_what_there_is_to_say_about_the_verdict_is_said(told: AuditRecord, words: str) -> None:
    assert words in words_of(told)


@pytest.mark.parametrize("name", ALL)
def test_nothing_outside_of_the_page_is_named(name: str) -> None:
    page = Page(render(ALL[name]))
    for tag, attributes in page.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "a"}
        for attribute, value in attributes.items():
            assert not attribute.startswith("on")
            assert attribute not in {"src", "srcset", "action", "style"}
            assert attribute != "href" or value == "data:,"
    assert not re.search(r"url\(|@import", page.texts["style"])


@pytest.mark.parametrize("name", ALL)
def test_the_page_may_run_its_own_script_and_nothing_else(name: str) -> None:
    page = Page(render(ALL[name]))
    (policy,) = (
        str(attributes["content"])
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind, text in [("script-src", page.texts["script"]), ("style-src", page.texts["style"])]:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"


def test_hostile_text_adds_no_element_and_ends_none() -> None:
    harmless = record(*EVERYWHERE_HOSTILE.attempts, reason="no", expected=("no",))
    hostile, plain = Page(render(EVERYWHERE_HOSTILE)), Page(render(harmless))
    assert hostile.tags == plain.tags
    assert hostile.comments == []
    escaped = (
        HOSTILE.encode("unicode_escape", "surrogatepass").decode().replace("\\U0001f388", "🎈")
    )
    assert escaped in hostile.data["strings"]
    assert hostile.texts["h1"].strip() == escaped
    assert not set("<>&") & set(hostile.texts["script#data"])


def test_what_looks_like_a_mark_of_the_template_is_left_alone() -> None:
    assert "{{data}}" in Page(render(record(scenario="{{data}}"))).texts["h1"]


@pytest.mark.parametrize("name", ALL)
def test_the_page_can_be_written_in_utf_8(name: str) -> None:
    assert render(ALL[name]).encode("utf-8").endswith(b"</html>\n")


def test_the_matrix_has_the_worst_site_first_and_untried_cells() -> None:
    data = Page(render(UNSAFE)).data
    frames = [data["frames"][site["frame"]] for site in data["sites"]]
    assert [frame["line"] for frame in frames] == [22, 18, 28, 29]
    cells = {
        point["label"]: [cell and cell["verdict"] for cell in point["cells"]]
        for site in data["sites"]
        for point in site["points"]
    }
    assert cells == {
        "2": ["unsafe", "unsafe"],
        "1": ["safe", "unsafe"],
        "5": ["unsafe", None],
        "3": ["safe", "unresolved"],
        "4": [None, "unresolved"],
    }
    assert [column["name"] for column in data["deliveries"]] == ["early", "late"]


def test_suspensions_that_were_not_tried_have_a_row_too() -> None:
    data = Page(render(record(attempt(1, Delivery.LATE)))).data
    labels = {point["label"] for site in data["sites"] for point in site["points"]}
    assert labels == {"1", "2", "3", "4", "5"}


def test_an_attempt_at_depth_2_has_a_row_of_its_own() -> None:
    deep = after(1, 2, Delivery.LATE, (Category.HANG, "no end"))
    data = Page(render(record(attempt(2, Delivery.LATE), deep, depth=2))).data
    rows = {point["label"]: point for site in data["sites"] for point in site["points"]}
    (earlier,) = rows["1+2"]["after"]
    assert data["suspensions"][earlier]["ordinal"] == 1
    assert rows["2"]["after"] == []


def test_the_worst_finding_of_an_attempt_comes_first() -> None:
    wrong = attempt(1, Delivery.LATE, (Category.TASK, "a"), (Category.WRONG_ANSWER, "b"))
    data = Page(render(record(wrong))).data
    (cell,) = (each for each in data["sites"][0]["points"][0]["cells"] if each)
    assert [data["categories"][each["category"]] for each in cell["findings"]] == [
        "wrong answer",
        "task",
    ]


def test_stacks_and_texts_are_written_once_however_many_attempts_share_them() -> None:
    many = [
        attempt(number, each, (Category.TASK, "it runs"), suspension=SUSPENSIONS[0])
        for number in range(1, 1001)
        for each in Delivery
    ]
    data = Page(render(record(*many))).data
    assert len(data["suspensions"]) == 1
    assert sum(each.startswith("it runs [") for each in data["strings"]) == 1
    assert len(set(data["strings"])) == len(data["strings"])


def test_the_command_for_a_replay_can_be_made_for_each_address() -> None:
    assert "3:late".join(Page(render(UNSAFE)).data["replay"]) == UNSAFE.replay("3:late")


def test_no_target_can_mislead_where_the_address_goes() -> None:
    before, behind = Page(render(record(target="a\0b\u202e.py:c", loop="uvloop"))).data["replay"]
    assert before == "withal audit 'a\\x00b\\u202e.py:c' --at "
    assert behind == " --loop uvloop"
