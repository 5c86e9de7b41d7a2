"""Texts without random and counted parts, so that they can be compared between runs."""

from __future__ import annotations

import re

_CALLBACKS = re.compile(r" cb=\[[^\]]*\]")  # of a future or task: also those of an audit
_VARYING = re.compile(
    r"""
      0x[0-9a-fA-F]+                                          # an address in memory
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b  # a UUID
    | (?<![\w.])(?:[\w.+-]+://)?(?:/[^\s'"/<>()\[\],;]+)+/?    # a path or a URL
    | \btmp[a-z0-9_]{8}\b                                     # a name by tempfile
    | \b(?=[0-9a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}\b    # a digest or a token
    | \b(?=\w*\d[A-Za-z]\w*\d)\w{8,}\b                          # digits among letters: random
    | \d+                                                     # a number, a port, an identifier
    """,
    re.VERBOSE,
)


def without_varying_parts(text: str) -> str:
    """Return a text with ``#`` in place of parts that may differ between runs.

    These are numbers, addresses, hexadecimal identifiers, and paths, since the names of temporary
    files and folders are random.

    Example:
        >>> without_varying_parts("unclosed file <_io.FileIO name='/tmp/tmpk1_xq0zw/f' mode='rb'>")
        "unclosed file <_io.FileIO name='#' mode='rb'>"
        >>> without_varying_parts("Task-12 at 0x7f3a, peer 127.0.0.1:4567")
        'Task-# at #, peer #.#.#.#:#'
        >>> without_varying_parts("<Future pending cb=[wake() at /home/me/pool.py:3]> is lost")
        '<Future pending> is lost'
        >>> without_varying_parts("unclosed session q7Xk2mP9s of worker-3")
        'unclosed session # of worker-#'
    """
    return _VARYING.sub("#", _CALLBACKS.sub("", text))
