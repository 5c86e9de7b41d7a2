"""The page, in a real Chromium without a window or a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tracking.tracked import HOSTILE, LEAKY, track
from withal.ledger import Ending, Record
from withal.tracking.formats.html import html_report
from withal.tracking.formats.json import TrackReport
from withal.tracking.program import TrackedProgram

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

from tests.support.chromium import CHROMIUM, running_chromium  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("leaky")
    assert track(folder, LEAKY, "--html", "page.html").returncode == 0
    return (folder / "page.html").read_text("utf-8")


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open pages, offline; fail for whatever one complains of, or would load."""
    heard = list[str]()
    file = tmp_path / "page.html"
    contexts = []

    def opened(text: str, width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(offline=True, viewport={"width": width, "height": 844})
        contexts.append(context)
        context.on("console", lambda message: heard.append(f"console: {message.text}"))
        context.on("weberror", lambda error: heard.append(f"error: {error.error}"))
        context.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        context.on("request", lambda request: heard.append(f"request: {request.url}"))
        file.write_text(text, "utf-8")
        page = context.new_page()
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(file.as_uri())
        return page

    yield opened
    for each in contexts:
        each.close()
    assert set(heard) <= {f"request: {file.as_uri()}"}


def colours(page: Page) -> int:
    """Return how many pixels of the timeline have the colour of leaks."""
    page.wait_for_function("document.getElementById('timeline').dataset.painted")
    found = page.evaluate("""() => {
        const canvas = document.querySelector("canvas"), probe = document.createElement("i");
        probe.className = "leak";
        document.querySelector(".legend").append(probe);
        const leak = getComputedStyle(probe).backgroundColor.match(/\\d+/g).map(Number);
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
          if (leak.every((part, at) => Math.abs(part - data[i + at]) < 3)) count += 1;
        }
        return count;
    }""")
    return int(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_drawn_and_filtered(open_page: Open, leaky: str, scheme: str, width: int) -> None:
    page = open_page(leaky, width, scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert colours(page) > 10
    page.get_by_label("Search").fill("program.py:17 never")
    expect(page.get_by_role("status")).to_contain_text("1 of ")
    row = page.locator(".row")
    expect(row).to_have_count(1)
    row.click()
    expect(page.locator("#detail")).to_contain_text("program.py:17 in main")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_are_shown_as_text(open_page: Open, leaky: str) -> None:
    page = open_page(leaky)
    page.get_by_label("Search").fill("onerror")
    page.locator(".row").first.click()
    expect(page.locator("#detail")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0


def test_the_keyboard_selects_rows_and_the_next_leak(open_page: Open, leaky: str) -> None:
    page = open_page(leaky)
    page.locator("#rows").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator('.row[aria-selected="true"]')).to_have_count(1)
    page.locator("#timeline").focus()
    page.keyboard.press("n")
    expect(page.locator("#detail")).to_contain_text("never closed")


def test_a_heading_sorts(open_page: Open, leaky: str) -> None:
    page = open_page(leaky)
    heading = page.get_by_role("button", name="Kind")
    kinds = []
    for _ in range(2):
        heading.click()
        kinds.append(page.locator(".row > :first-child").all_inner_texts())
    assert kinds[0] == sorted(kinds[0])
    assert kinds[1] == sorted(kinds[0], reverse=True)


def test_of_50000_records_only_the_rows_in_sight_are_made(open_page: Open) -> None:
    now = time.monotonic()
    records = [
        Record(i, f"r{i}", f"kind{i % 9}", (), f"t{i % 50}", None, at := now - 50 + i / 1000, at,
               None, at + i % 13, None, Ending.CLOSED)
        for i in range(1, 50_001)
    ]  # fmt: skip
    report = TrackReport("many.py", time.time() - 60, 60.0, 0, {}, (), records, TrackedProgram())
    page = open_page(html_report(report))
    expect(page.get_by_role("status")).to_have_text("50,000 of 50,000 shown")
    assert page.locator(".row").count() < 40
    page.locator("#rows").focus()
    page.keyboard.press("End")
    expect(page.locator('.row[aria-selected="true"]')).to_contain_text("r50000")
    page.get_by_label("Search").fill("r50000")
    expect(page.get_by_role("status")).to_contain_text("1 of 50,000")
