"""A report as one page of HTML that needs nothing else.

The skeleton, the style and the script of this folder come first, then those of the report. The
content security policy of the page allows that style and that script only, and no network.
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
        package: has a folder ``page`` with ``report.html``, ``report.css`` and ``report.js``.
        title: of the page, as plain text.
        values: what stands for the marks, such as ``{{facts}}``, of ``report.html``: HTML.
        data: what the script reads, as JSON.
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
    """Return a text as HTML that shows it, with what cannot be printed written out."""
    return escape(printable(text))


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the inside of a ``<dl>``: terms and what they mean, both plain text."""
    return "\n".join(
        f"<div><dt>{escaped(term)}</dt><dd>{escaped(meaning)}</dd></div>" for term, meaning in pairs
    )


def _filled(template: str, values: Mapping[str, str]) -> str:
    # One pass: marks within what is put in are not replaced.
    return _MARK.sub(lambda mark: values[mark[1]], template)


def _text(file: Traversable) -> str:
    return file.read_text("utf-8")


def _hash(text: str) -> str:
    """Return how a content security policy names a style or a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _in_script(data: object) -> str:
    """Return ASCII JSON without the characters that have a meaning in HTML."""
    text = json.dumps(data, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
