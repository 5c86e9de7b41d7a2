"""The report as HTML, in a real Chromium without a window or a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.audit.records import (
    EVERYWHERE_HOSTILE,
    FAILED,
    SUSPENSIONS,
    UNSAFE,
    after,
    attempt,
    record,
)
from tests.support.accessibility import axe_core, violations
from withal.audit.report.html import render
from withal.audit.report.record import AuditRecord, Category, Delivery

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect  # noqa: E402

from tests.support.chromium import CHROMIUM, running_chromium  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}

# Contrasts of all texts with what is behind them, by the formula of WCAG 2.
LOW_CONTRASTS = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => linear(part / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour.length === 3 || colour[3] === 1 ? colour : behind(element.parentElement);
  };
  const contrast = (element) => {
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const hasText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  return [...document.body.querySelectorAll("*")]
    .filter((element) => element.checkVisibility() && [...element.childNodes].some(hasText))
    .filter((element) => contrast(element) < 4.5)
    .map((element) => `${contrast(element)} ${element.className} ${element.textContent}`);
}"""

Open = Callable[[AuditRecord], Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_core(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def open_page(
    browser: Browser, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Open reports, offline; fail for whatever the page complains of, asks for, or would load."""
    monkeypatch.chdir(root)
    context = browser.new_context(offline=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    heard = list[str]()
    context.on("console", lambda message: heard.append(f"console: {message.text}"))
    context.on("weberror", lambda error: heard.append(f"error: {error.error}"))
    context.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    context.on("request", lambda request: heard.append(f"request: {request.url}"))
    file = tmp_path / "report.html"

    def opened(told: AuditRecord) -> Page:
        file.write_text(render(told), "utf-8")
        page = context.new_page()
        page.goto(file.as_uri())
        return page

    yield opened
    context.close()
    assert set(heard) <= {f"request: {file.as_uri()}"}


def button(page: Page, address: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{re.escape(address)}:"))


def test_a_click_on_a_cell_opens_its_stack_and_evidence_and_another_closes_it(
    open_page: Open,
) -> None:
    page = open_page(UNSAFE)
    cell = button(page, "2:early")
    expect(cell).to_have_text("✕lock or slot")
    expect(cell).to_have_attribute("aria-expanded", "false")
    cell.click()
    expect(cell).to_have_attribute("aria-expanded", "true")
    panel = page.get_by_role("region", name="2:early")
    expect(panel).to_contain_text("1 of 2 slots is still held")
    expect(panel).to_contain_text("about 1 of 2 slots is still held")
    expect(panel.get_by_role("listitem")).to_have_text(
        [
            "tests/audit/waiting.py:27 in use_poolasync with Pool():",
            'tests/audit/waiting.py:14 in Pool.__aenter__await connect("replica")',
            "tests/audit/waiting.py:22 in connectawait turn()",
        ]
    )
    cell.click()
    expect(panel).to_have_count(0)
    expect(cell).to_have_attribute("aria-expanded", "false")


def test_the_keyboard_does_what_a_click_does(open_page: Open) -> None:
    page = open_page(UNSAFE)
    cell = button(page, "2:early")
    for _ in range(20):  # the filters, the site, and then its first cell
        page.keyboard.press("Tab")
        if cell.evaluate("element => element === document.activeElement"):
            break
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
        expect(page.get_by_role("region", name="2:early")).to_be_visible()
        page.keyboard.press(key)
        expect(page.get_by_role("region", name="2:early")).to_have_count(0)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="2:late")).to_contain_text("the task `beat` still runs")


def test_another_cell_of_a_row_takes_the_place_of_the_one_that_was_open(open_page: Open) -> None:
    page = open_page(UNSAFE)
    button(page, "2:early").click()
    button(page, "2:late").click()
    expect(button(page, "2:early")).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".panel")).to_have_count(1)
    expect(page.locator(".panel h2")).to_have_text("2:late · unsafe")


def test_cells_tell_their_state_in_a_word_and_a_sign(open_page: Open) -> None:
    page = open_page(UNSAFE)
    expect(button(page, "1:early")).to_have_text("✓safe")
    expect(button(page, "2:late")).to_have_text("✕descriptor +1")
    expect(button(page, "3:late")).to_have_text("?unresolved")
    expect(page.locator(".cell.untried")).to_have_text(["\u2013not tried"] * 2)


def test_an_unresolved_cell_gives_the_reason(open_page: Open) -> None:
    page = open_page(UNSAFE)
    button(page, "3:late").click()
    expect(page.locator(".panel")).to_contain_text("the loop did not become idle within 5 s")


def test_the_earlier_cancellations_are_shown_too(open_page: Open) -> None:
    page = open_page(record(after(1, 2, Delivery.LATE, (Category.HANG, "no end")), depth=2))
    button(page, "1+2:late").click()
    expect(page.locator(".panel h3")).to_have_text(
        [
            "Cancelled before that at 1, waits for a turn of the loop",
            "Suspended at 2, waits for a turn of the loop",
            "Replay",
        ]
    )


def test_a_button_copies_the_command_that_replays_an_attempt(open_page: Open) -> None:
    page = open_page(UNSAFE)
    button(page, "5:early").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator(".replay")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "withal audit waiting.py:use_pool --at 5:early"


def test_a_screen_reader_gets_a_table_on_a_desk_and_on_a_phone(
    open_page: Open,
) -> None:
    page = open_page(UNSAFE)
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        expect(page.get_by_role("table")).to_have_count(1)
        expect(page.get_by_role("columnheader")).to_have_text(["Where it waits", "early", "late"])
        expect(page.get_by_role("rowheader")).to_have_count(6)


def test_the_verdicts_filter_the_rows(open_page: Open) -> None:
    page = open_page(UNSAFE)
    everything = page.get_by_role("button", name="all")
    unresolved = page.get_by_role("button", name="unresolved 2")
    unresolved.click()
    expect(unresolved).to_have_attribute("aria-pressed", "true")
    expect(everything).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("rowheader")).to_have_text([re.compile(":28 "), re.compile(":29 ")])
    expect(page.locator("#shown")).to_have_text("2 shown")
    everything.click()
    expect(page.locator("#shown")).to_have_text("8 shown")


def test_the_categories_filter_the_rows(open_page: Open) -> None:
    page = open_page(UNSAFE)
    page.get_by_label("of category").select_option("error in clean-up (1)")
    expect(page.get_by_role("rowheader")).to_have_text([re.compile(":18 ")])
    expect(page.locator("#shown")).to_have_text("1 shown")
    page.get_by_role("button", name="unresolved 2").click()
    expect(page.locator("#matrix")).to_have_text("Nothing was tried that fits.")


def test_where_nothing_was_tried_that_is_said(open_page: Open) -> None:
    page = open_page(FAILED)
    expect(page.locator("#matrix")).to_have_text("Nothing was tried.")
    expect(page.locator("#filters")).to_be_hidden()


def test_a_site_of_several_suspensions_folds(open_page: Open) -> None:
    page = open_page(UNSAFE)
    site = page.get_by_role("button", name="waiting.py:22 connect")
    expect(site).to_have_attribute("aria-expanded", "true")
    site.click()
    expect(site).to_have_attribute("aria-expanded", "false")
    expect(button(page, "2:early")).to_have_count(0)
    site.click()
    expect(button(page, "2:early")).to_be_visible()


def test_of_many_rows_more_are_shown_when_they_are_asked_for(open_page: Open) -> None:
    many = (attempt(number, Delivery.LATE, suspension=SUSPENSIONS[0]) for number in range(1, 301))
    page = open_page(record(*many, suspensions=()))
    page.get_by_role("button", name="waiting.py:22 connect").click()
    expect(page.locator("tr.point")).to_have_count(50)
    page.get_by_role("button", name="Show 200 more of 250 suspensions").press("Enter")
    expect(page.locator("tr.point")).to_have_count(250)
    expect(button(page, "51:late")).to_be_focused()
    page.get_by_role("button", name="Show 50 more of 50 suspensions").click()
    expect(page.locator("tr.point")).to_have_count(300)
    expect(page.locator(".more")).to_have_count(0)


@pytest.mark.parametrize("told", [UNSAFE, EVERYWHERE_HOSTILE], ids=["plain", "hostile"])
def test_the_page_does_not_scroll_sideways_on_a_phone(open_page: Open, told: AuditRecord) -> None:
    page = open_page(told)
    page.set_viewport_size(PHONE)
    page.locator("footer summary").click()
    for cell in page.locator("button.cell").all():
        cell.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate("document.body.scrollWidth") <= PHONE["width"]
    for target in page.locator("button.cell, #verdicts button, .copy").all():
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 36  # so that a finger hits it
        assert box["x"] + box["width"] <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(open_page: Open, scheme: str) -> None:
    page = open_page(UNSAFE)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    button(page, "2:early").click()
    button(page, "3:late").click()
    page.locator("footer summary").click()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    assert page.evaluate(LOW_CONTRASTS) == []
    page.get_by_role("button", name="unresolved 2").click()  # what does not fit is faded
    assert page.evaluate(LOW_CONTRASTS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_report_breaks_a_rule_of_accessibility(open_page: Open, scheme: str, axe: str) -> None:
    page = open_page(UNSAFE)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    assert violations(page, axe) == []
    button(page, "2:early").click()
    button(page, "3:late").click()
    page.locator("footer summary").click()
    assert violations(page, axe) == []
    page.get_by_role("button", name="unresolved 2").click()
    assert violations(page, axe) == []
    assert violations(open_page(FAILED), axe) == []


def test_hostile_text_is_shown_and_does_nothing(open_page: Open) -> None:
    page = open_page(EVERYWHERE_HOSTILE)
    expect(page.locator("h1")).to_contain_text("</script><!--<img src=x onerror=alert(1)>&amp;")
    button(page, "1:early").click()
    expect(page.locator(".panel")).to_contain_text("<img src=x onerror=alert(1)>&amp;'\"\\x00")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


def test_what_is_put_into_the_page_may_neither_load_nor_run(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(UNSAFE).replace("</h1>", "<img src=x.png onerror=alert(1)></h1>"))
    page = browser.new_page()
    failures, dialogs = list[str | None](), list[str]()
    page.on("requestfailed", lambda request: failures.append(request.failure))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.goto(file.as_uri())
    expect(page.locator(".panel, .cell").first).to_be_visible()
    page.close()
    assert failures == ["csp"]
    assert dialogs == []


def test_without_a_script_the_verdict_is_there_all_the_same(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(UNSAFE), "utf-8")
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    expect(page.locator(".sum")).to_have_text("unsafe 4 of 8 attempts went wrong")
    expect(page.locator("noscript")).to_be_visible()
    page.close()
