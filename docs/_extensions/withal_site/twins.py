"""A Markdown twin beside each page, and `llms.txt`, which lists them all.

The twin of a page is its source. That of a page of the reference is made of the docstrings, since
its source only names a facade.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from textwrap import dedent
from typing import Any

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.inspect import signature, stringify_signature

from withal_site.commands import helps
from withal_site.facades import groups
from withal_site.links import page_text

_DIRECTIVE = re.compile(r"^```\{eval-rst\}\n\.\. (facade|commands)::[ ]?(\S*)\n```$", re.MULTILINE)
_EXAMPLE = re.compile(r"^ *>>> .*\n(?:.*\S.*\n)*", re.MULTILINE)
_MODULE = re.compile(r"~[\w.]*\.")  # as Sphinx writes that a name is shown without its module
_TOCTREE = re.compile(r"^```\{toctree\}\n.*?^```\n", re.MULTILINE | re.DOTALL)


def name_the_twin(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Have the page say where its twin is."""
    if page in app.env.found_docs:
        name = page.rpartition("/")[2]
        link = f'<link rel="alternate" type="text/markdown" href="{name}.md">'
        context["metatags"] = context.get("metatags", "") + link


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write the twins and `llms.txt`."""
    if exception is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    twins = {name: _twin(app, name) for name in app.env.found_docs}
    for name, text in twins.items():
        (site / f"{name}.md").write_text(text, "utf-8")
    (site / "llms.txt").write_text(_list_of_pages(app, twins), "utf-8")


def _twin(app: Sphinx, name: str) -> str:
    path = Path(app.env.doc2path(name))
    text = page_text(Path(app.srcdir), path, path.read_text("utf-8"))
    text = _TOCTREE.sub("", text).rstrip() + "\n"
    return _DIRECTIVE.sub(lambda found: _generated(found[1], found[2]), text)


def _generated(directive: str, argument: str) -> str:
    parts = _commands() if directive == "commands" else _facade(argument)
    return "\n\n".join(parts)


def _commands() -> Iterator[str]:
    for name, text in helps():
        yield f"## `{name}`"
        yield f"```text\n{text}\n```"


def _facade(facade: str) -> Iterator[str]:
    module = importlib.import_module(facade)
    yield inspect.getdoc(module) or ""
    for group in groups(facade):
        yield f"## {group.title}"
        for name in group.names:
            yield from _entry(f"{facade}.{name}", getattr(module, name), "###")


def _entry(name: str, thing: Any, level: str) -> Iterator[str]:
    if inspect.isclass(thing) and issubclass(thing, Enum):
        yield f"{level} `{name}`"
        yield inspect.getdoc(thing) or ""
        yield "\n".join(f"- `{each.name}`: `{each.value!r}`" for each in thing)
        return
    yield f"{level} `{name}{_signature(thing)}`"
    yield _fenced(inspect.getdoc(thing) or "")
    if not (inspect.isclass(thing) or inspect.ismodule(thing)):
        return
    for member, inner in vars(thing).items():
        if not member.startswith("_") and _is_documented(thing, inner):
            yield from _entry(f"{name.rpartition('.')[2]}.{member}", inner, level + "#")


def _is_documented(owner: object, thing: object) -> bool:
    inner = getattr(thing, "__func__", thing)  # of a class method
    if inspect.ismodule(owner):
        return inspect.isfunction(inner) and inner.__module__ == owner.__name__
    return (inspect.isroutine(inner) or isinstance(inner, property)) and bool(inner.__doc__)


def _signature(thing: Any) -> str:
    try:
        text = stringify_signature(signature(thing), unqualified_typehints=True)
    except (TypeError, ValueError):
        return ""
    return _MODULE.sub("", text)


def _fenced(docstring: str) -> str:
    """Return a docstring with its examples in blocks of Markdown."""
    marked = _EXAMPLE.sub(lambda found: f"\n```python\n{dedent(found[0])}```\n", docstring + "\n")
    return marked.rstrip()


def _list_of_pages(app: Sphinx, twins: dict[str, str]) -> str:
    lines = ["# withal", "", f"> {_summary(twins[app.config.root_doc])}"]
    for tree in app.env.tocs[app.config.root_doc].findall(addnodes.toctree):
        lines += ["", f"## {tree['caption']}", ""]
        lines += [line for entry in tree["includefiles"] for line in _listed(app, entry, twins)]
    return "\n".join(lines) + "\n"


def _listed(app: Sphinx, name: str, twins: dict[str, str]) -> Iterator[str]:
    title = app.env.titles[name].astext()
    yield f"- [{title}]({name}.md): {_summary(twins[name])}"
    for inner in app.env.toctree_includes.get(name, []):
        yield from _listed(app, inner, twins)


def _summary(text: str) -> str:
    """Return the first sentence of a page below its title."""
    paragraphs = [part.strip() for part in text.split("\n\n")]
    first = next(
        part for part in paragraphs if part and not part.startswith(("#", "```", "|", "-"))
    )
    sentence = re.split(r"(?<=\.)\s", first.replace("\n", " "), maxsplit=1)[0]
    return re.sub(r"\]\([^)]*\)|\[", "", sentence)
