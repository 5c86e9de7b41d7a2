"""The documentation site in a real Chromium, served from 127.0.0.1."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.accessibility import axe_core, violations

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Response, expect  # noqa: E402

from tests.support.chromium import CHROMIUM, running_chromium  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

MOST_BYTES = 200 * 1024
PAGES = [
    "index.html",
    "tutorial/async-with.html",
    "guides/moving.html",
    "explanation/cancellation.html",
    "reference/withal.html",
    "reference/command-line.html",
    "search.html",
]


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Serve the site from another process, so that its connections are not taken for leaks."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        command, cwd=site, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        port = re.search(r"port (\d+)", server.stdout.readline())
        assert port is not None
        yield f"http://127.0.0.1:{port[1]}"
        server.terminate()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


def test_the_first_page_is_small_and_complete(address: str, browser: Browser) -> None:
    page = browser.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(f"{address}/index.html", wait_until="networkidle")
    assert {answer.url for answer in answers if answer.status != 200} == set()
    assert all(answer.url.startswith(address) for answer in answers)
    assert 0 < sum(len(answer.body()) for answer in answers) < MOST_BYTES


def test_the_search_finds_a_name_and_leads_to_it(address: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").fill("atomic_write")
    page.get_by_placeholder("Search").press("Enter")
    found = page.locator("#search-results li a").first
    expect(found).to_be_visible(timeout=30_000)
    found.click()
    expect(page.locator("article")).to_contain_text("atomic_write")


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_only_code_and_tables_scroll_sideways(
    address: str, browser: Browser, name: str
) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{address}/{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_on_a_phone_the_menu_opens(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{address}/index.html")
    link = page.locator(".sidebar-tree").get_by_role("link", name="Guides", exact=True)
    expect(link).not_to_be_in_viewport()
    page.locator("label.nav-overlay-icon").click()
    expect(link).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_a_rule_of_accessibility(
    address: str, browser: Browser, axe: str, scheme: Any
) -> None:
    page = browser.new_page(color_scheme=scheme)
    backgrounds = set()
    for name in PAGES:
        page.goto(f"{address}/{name}")
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert violations(page, axe) == [], name
    assert backgrounds == {"rgb(255, 255, 255)" if scheme == "light" else "rgb(19, 20, 22)"}


def test_a_page_that_breaks_a_rule_is_noticed(browser: Browser, axe: str) -> None:
    page = browser.new_page()
    page.set_content('<html lang="en"><title>1</title><main><h1>1</h1><img src="x"></main>')
    assert [text.partition(":")[0] for text in violations(page, axe)] == ["image-alt"]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_core(tmp_path_factory.mktemp("axe"))
