"""The ``User-Agent`` header that withal sends to servers."""

from __future__ import annotations

import importlib.metadata

# Looked up once, at import: it reads a file.
USER_AGENT = f"withal/{importlib.metadata.version('withal')}"
