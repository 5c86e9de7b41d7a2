"""What Sphinx and the theme leave out for readers with a keyboard or a screen reader.

`tests/site/test_in_browser.py` has axe-core look at the pages. What it found is mended in the pages
that are built, since neither has a setting for it.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

_MENDED = {
    "<pre>": '<pre tabindex="0">',  # it scrolls, so it has to be reached by keyboard
    'role="heading">': 'role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer': '<aside aria-label="On this page" class="toc-drawer',
    '<div id="search-results">': '<h1>Search</h1>\n<div id="search-results">',
}

# The parameters of a signature of several lines are no list of definitions.
_PARAMETERS = re.compile(r"<dl>\s*<dd>(.*?)</dd>\s*</dl>", re.DOTALL)
_LINE_ENDS = re.compile(r"</dd>\s*<dd>")


def mend(app: Sphinx, exception: Exception | None) -> None:
    """Mend each page that was built."""
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        path.write_text(_mended(path.read_text("utf-8")), "utf-8")


def _mended(page: str) -> str:
    for wrong, right in _MENDED.items():
        page = page.replace(wrong, right)
    return _PARAMETERS.sub(_parameters, page)


def _parameters(found: re.Match[str]) -> str:
    lines = _LINE_ENDS.split(found[1])
    divisions = "\n".join(f'<div class="sig-line">{line}</div>' for line in lines)
    return f'<div class="sig-lines">{divisions}</div>'
