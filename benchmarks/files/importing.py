"""How long importing a package takes, from bytecode: the processor time of a child, at least."""

from __future__ import annotations

import os
import sys

ROUNDS = 15


def seconds_to_import(package: str) -> float:
    """Return by how much a child that imports it takes longer than one that does not."""
    times = [(_child(f"import {package}"), _child("pass")) for _ in range(ROUNDS)]
    return min(importing for importing, _ in times) - min(empty for _, empty in times)


def _child(program: str) -> float:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", program]
    _, _, used = os.wait4(os.posix_spawn(sys.executable, command, environment), 0)
    return used.ru_utime + used.ru_stime
