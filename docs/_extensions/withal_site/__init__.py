"""What the site has beyond Sphinx: the reference by facades, Markdown twins, and checked links."""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from withal_site import accessible, commands, facades, links, twins


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives and what runs while the site is built."""
    app.add_directive("facade", facades.FacadeDirective)
    app.add_directive("commands", commands.CommandsDirective)
    app.connect("autodoc-process-signature", facades.without_that_of_enum)
    app.connect("source-read", links.read_page)
    app.connect("html-page-context", twins.name_the_twin)
    app.connect("build-finished", accessible.mend)
    app.connect("build-finished", twins.write)
    app.connect("build-finished", links.check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
