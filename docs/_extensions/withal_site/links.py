"""Links: those that leave `docs` lead to pages of the site, and each link of the site holds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

_log = logging.getLogger(__name__)

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
_PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "README.md": "index.md",
}


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Have a page include what it names, and its links lead to pages of the site."""
    source[0] = page_text(Path(app.srcdir), Path(app.env.doc2path(docname)), source[0])


def page_text(docs: Path, page: Path, text: str) -> str:
    """Return the Markdown of a page as the site has it."""
    included = _INCLUDE.fullmatch(text.strip())
    origin = page
    if included:
        origin = (page.parent / included[1]).resolve()
        text = origin.read_text("utf-8")

    def moved(link: re.Match[str]) -> str:
        label, path, anchor = link[1], link[2], link[3] or ""
        if re.match(r"[a-z]+:", path):
            return link[0]
        target = (origin.parent / path).resolve()
        if target.is_dir():
            return label
        beside = target.relative_to(docs.parent).as_posix()
        target = docs / _PAGES.get(beside, target)
        return f"[{label}]({os.path.relpath(target, page.parent)}{anchor})"

    return _outside_code(text, lambda prose: _LINK.sub(moved, prose))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change a text but for its fenced blocks."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


class _Page(HTMLParser):
    """The links of a page, and what may be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids |= {value for value in (found.get("id"), found.get("name")) if value}
        self.links += [value for value in (found.get("href"), found.get("src")) if value]


def check(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build for each link of the site that leads nowhere."""
    if exception is not None or app.builder.format != "html":
        return
    dead = dead_links(Path(app.outdir))
    for link in dead:
        _log.error(link)
    if dead:
        app.statuscode = 1


def dead_links(site: Path) -> list[str]:
    """Return the links within a built site that lead nowhere."""
    pages = {path: _Page(path) for path in sorted(site.rglob("*.html"))}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists():
                dead.append(f"{path.relative_to(site)}: {link} leads nowhere")
            elif anchor and target in pages and anchor not in pages[target].ids:
                dead.append(f"{path.relative_to(site)}: there is no {link}")
    return dead
