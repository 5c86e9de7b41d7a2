"""Parsing of amounts that people write."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_STEPS = " kmgt"


def bytes_of(text: str) -> int:
    """Return the number of bytes for a text such as ``10M``, ``1.5GiB`` or ``4096``.

    As in curl and wget, the units are powers of 1024.

    Raises:
        ValueError: if `text` is not an amount of bytes.

    Example:
        >>> bytes_of("4096"), bytes_of("1.5k"), bytes_of("2 GiB")
        (4096, 1536, 2147483648)
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not an amount of bytes; write 4096, 500k or 1.5G")
    number, unit, _ = found.groups()
    return int(float(number) * 1024 ** _STEPS.index(unit.lower() or " "))
