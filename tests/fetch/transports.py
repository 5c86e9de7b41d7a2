"""The transports that a test is run with; one that is not installed is skipped with a word."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

_needs_pycurl = pytest.mark.skipif(find_spec("pycurl") is None, reason="pycurl is not installed")

TRANSPORTS = ["aiohttp", pytest.param("curl", marks=_needs_pycurl)]
