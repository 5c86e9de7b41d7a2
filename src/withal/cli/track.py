"""The command ``withal track``: checks what is asked for, and becomes the program's process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, cast

from withal.cli.complaint import complain
from withal.ledger.records import Ending
from withal.tracking.options import TrackOptions

_LEAKS = [each.value for each in Ending if each is not Ending.CLOSED]


def track_command(options: TrackOptions) -> NoReturn:
    """Start a fresh interpreter in place of this one, or say what is wrong and exit with 2."""
    problem = _problem(options)
    if problem:
        complain(problem)
        sys.exit(2)
    flags = cast("list[str]", vars(subprocess)["_args_from_interpreter_flags"]())
    command: list[str] = [sys.executable, *flags, "-m", "withal.tracking", options.dumped()]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)


def _problem(options: TrackOptions) -> str:
    """Say what of the options cannot be, or return an empty text."""
    if options.is_module:
        if not _is_module(options.target):
            return f"no module named {options.target!r}"
    elif Path(options.target).is_dir():
        return f"{options.target} is a folder; to run a package, use -m"
    elif not Path(options.target).is_file():
        return f"there is no script {options.target}"
    elif not os.access(options.target, os.R_OK):
        return f"{options.target} cannot be read"
    for each in options.ignore:
        if each not in _LEAKS:
            return f"--ignore {each!r}: the classes are {', '.join(map(repr, _LEAKS))}"
    problem = _missing(options)
    if problem:
        return problem
    for path in options.json, options.html, options.perfetto:
        problem = "" if path is None else _unwritable(Path(path))
        if problem:
            return problem
    return ""


def _missing(options: TrackOptions) -> str:
    if options.otel and not _is_module("opentelemetry.trace"):
        return (
            "--otel needs opentelemetry-api, which is not installed: pip install opentelemetry-sdk"
        )
    return ""


def _is_module(name: str) -> bool:
    sys.path.insert(0, os.getcwd())
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
    finally:
        del sys.path[0]


def _unwritable(path: Path) -> str:
    if path.is_dir():
        return f"cannot write the report: {path} is a folder"
    folder = path.parent
    if not folder.is_dir():
        return f"cannot write the report: there is no folder {folder}"
    if not os.access(path if path.exists() else folder, os.W_OK):
        return f"cannot write the report: {path} is not writable"
    return ""
