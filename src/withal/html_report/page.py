"""A report as one self-contained HTML page.

The skeleton, the style and the script of this folder come first, then those of the report. The
content security policy of the page allows only that style and that script, and no network access:
https://developer.mozilla.org/en-US/docs/Web/HTTP/CSP
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from withal._core.printable import printable

_MARK: Final = re.compile(r"\{\{(\w+)\}\}")


def render_page(package: str, title: str, values: Mapping[str, str], data: object) -> str:
    """Return the page of a report.

    Args:
        package: a package whose folder ``page`` has ``report.html``, ``report.css`` and
            ``report.js``.
        title: the title of the page, as plain text.
        values: the HTML that replaces each mark, such as ``{{facts}}``, of ``report.html``.
        data: the data for the script, written as JSON.
    """
    shared, own = files("withal.html_report"), files(package) / "page"
    style = _text(shared / "base.css") + _text(own / "report.css")
    script = _text(shared / "base.js") + _text(own / "report.js")
    return _filled(
        _text(shared / "skeleton.html"),
        {
            "title": escaped(title),
            "body": _filled(_text(own / "report.html").rstrip("\n"), values),
            "data": _in_script(data),
            "style": style,
            "style_hash": _hash(style),
            "script": script,
            "script_hash": _hash(script),
        },
    )


def escaped(text: str) -> str:
    """Return a text as HTML, with unprintable characters written as escapes."""
    return escape(printable(text))


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the content of a ``<dl>`` for terms and their meanings, both plain text."""
    return "\n".join(
        f"<div><dt>{escaped(term)}</dt><dd>{escaped(meaning)}</dd></div>" for term, meaning in pairs
    )


def _filled(template: str, values: Mapping[str, str]) -> str:
    # In one pass, so that marks within the inserted values are not replaced.
    return _MARK.sub(lambda mark: values[mark[1]], template)


def _text(file: Traversable) -> str:
    return file.read_text("utf-8")


def _hash(text: str) -> str:
    """Return the hash by which a content security policy allows a style or a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _in_script(data: object) -> str:
    """Return ASCII JSON without the characters that are special in HTML."""
    text = json.dumps(data, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
