"""How Sphinx builds the documentation. What it has no extension for is in `_extensions`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

from withal import __version__

project = "withal"
release = version = __version__
html_title = f"withal {release}"
html_short_title = "withal"
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "withal_site",
]
exclude_patterns = ["_build", "_extensions", "_static"]

# Pages are read on their own, too, so nothing but plain Markdown is used in them.
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []

# In docstrings a single backtick is a name: it is a link if there is a page for it.
default_role = "py:obj"
add_module_names = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["withal.css"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
