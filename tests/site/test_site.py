"""The documentation site: it builds without a warning, and has a page for everything public."""

from __future__ import annotations

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.site.conftest import ROOT, Build
from tests.test_public_api import FACADES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NOT_PAGES = {"genindex", "py-modindex", "search"}


def test_it_builds_without_a_warning(build: Build) -> None:
    assert (build.status, build.output) == (0, "")


def test_each_public_name_is_in_the_reference(site: Path) -> None:
    inventory = importlib.import_module("sphinx.util.inventory").InventoryFile
    names = inventory.loads((site / "objects.inv").read_bytes(), uri="").data
    known = {name for sort, entries in names.items() if sort.startswith("py:") for name in entries}
    public = {
        f"{facade}.{name}" for facade in FACADES for name in importlib.import_module(facade).__all__
    }
    assert public <= known


def test_each_command_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "command-line.html").read_text("utf-8")
    for command in ("fetch", "audit", "track", "top", "demo"):
        assert f"Usage: withal {command}" in page


def test_no_page_asks_another_server_for_anything(site: Path) -> None:
    for path in site.rglob("*.html"):
        outside = [link for link in Loaded(path).links if re.match(r"(https?:)?//", link)]
        assert not outside, path


class Loaded(HTMLParser):
    """What a browser loads with a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("link", "script", "img", "iframe"):
            self.links.append(found.get("href") or found.get("src") or "")


def test_a_link_that_leads_nowhere_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_extensions"))
    dead_links = importlib.import_module("withal_site.links").dead_links
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here">1</a><a href="#gone">2</a><a href="b.html">3</a>'
        '<a href="a.html#here">4</a><a href="mailto:ann@example.org">5</a>'
    )
    assert dead_links(tmp_path) == ["a.html: there is no #gone", "a.html: b.html leads nowhere"]
    for name in [name for name in sys.modules if name.startswith("withal_site")]:
        monkeypatch.delitem(sys.modules, name)


def test_each_page_has_a_twin_in_markdown_and_says_so(site: Path) -> None:
    pages = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    for page in {each for each in pages if each.name not in NOT_PAGES}:
        assert (site / f"{page}.md").read_text("utf-8").startswith("# "), page
        assert f'type="text/markdown" href="{page.name}.md"' in (site / f"{page}.html").read_text()


def test_llms_txt_lists_each_page(site: Path) -> None:
    text = (site / "llms.txt").read_text("utf-8")
    assert text.startswith("# withal\n\n> Every resource")
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", text, re.MULTILINE)
    twins = {str(path.relative_to(site)) for path in site.rglob("*.md")} - {"index.md"}
    assert set(listed) == {name for name in twins if not name.startswith("_")}
    assert len(listed) == len(set(listed))


def test_the_links_between_twins_hold(site: Path) -> None:
    for path in site.rglob("*.md"):
        text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s#]+\.md)", text):
            assert re.match(r"[a-z]+:", link) or (path.parent / link).exists(), f"{path}: {link}"
