"""The command line, documented by its own help."""

from __future__ import annotations

import os
from collections.abc import Iterator

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

WIDTH = 88


def helps() -> Iterator[tuple[str, str]]:
    """Yield each command, as it is typed, and what its ``--help`` prints."""
    os.environ.setdefault("NO_COLOR", "1")
    import typer.main

    from withal.cli.app import app

    group = typer.main.get_command(app)
    context = group.make_context(
        "withal", [], resilient_parsing=True, max_content_width=WIDTH, terminal_width=WIDTH
    )
    yield "withal", group.get_help(context)
    for name in group.list_commands(context):  # type: ignore[attr-defined]
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        if command is None or command.hidden:
            continue
        inner = command.context_class(
            command, parent=context, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH
        )
        yield f"withal {name}", command.get_help(inner)


class CommandsDirective(SphinxDirective):
    """``.. commands::``: a section for each command."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        lines: list[str] = []
        for name, text in helps():
            lines += [f"``{name}``", "-" * (len(name) + 4), "", ".. code-block:: text", ""]
            lines += [f"   {line}" for line in text.splitlines()] + [""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)
