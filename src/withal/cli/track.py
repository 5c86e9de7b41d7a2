"""The command ``withal track``: checks its options, and replaces itself by the program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, cast

from withal._core.aliases import JsonObject
from withal.cli.console import print_error
from withal.ledger.records import Ending
from withal.tracking.options import STDIN, TrackOptions

_LEAKS = [each.value for each in Ending if each is not Ending.CLOSED]


_FLAGS = {
    "-m": "is_module",
    "--fail-on-leak": "fail_on_leak",
    "--quiet": "quiet",
    "-q": "quiet",
    "--serve": "serve",
}
_VALUES: dict[str, tuple[str, Callable[[str], object]]] = {
    "--held": ("held", float),
    "--stall": ("stall", float),
    "--json": ("json", os.path.abspath),
    "--html": ("html", os.path.abspath),
    "--perfetto": ("perfetto", os.path.abspath),
    "--keep": ("keep", int),
}
_LISTS = {"--also": "also", "--ignore": "ignore"}


def track_at_once(arguments: list[str]) -> None:
    """Run the program in this process, if the arguments are simple and valid; otherwise return.

    Importing the libraries of the command line takes longer than importing the tracker. They are
    needed only for the help and for errors.
    """
    options = options_of(arguments)
    if options is None or problem_of(options):
        return
    from withal.tracking.launch import run_program

    run_program(options)
    sys.exit(0)


def options_of(arguments: list[str]) -> TrackOptions | None:
    """Return the options from these arguments, or None if the full parser is needed."""
    found: JsonObject = {}
    rest = deque(arguments)
    while rest and rest[0].startswith("-") and rest[0] not in ("--", STDIN):
        name, has_value, value = rest.popleft().partition("=")
        if name in _FLAGS and not has_value:
            found[_FLAGS[name]] = True
            continue
        if not has_value:
            if not rest:
                return None
            value = rest.popleft()
        if name in _LISTS:
            found[_LISTS[name]] = (*found.get(_LISTS[name], ()), value)
        elif name in _VALUES:
            field, convert = _VALUES[name]
            try:
                found[field] = convert(value)
            except ValueError:
                return None
        else:
            return None
    if rest and rest[0] == "--":
        rest.popleft()
    if not rest or any(found.get(each, 1) <= 0 for each in ("held", "stall")):
        return None
    if found.get("keep", 0) < 0:
        return None
    return TrackOptions(rest.popleft(), arguments=tuple(rest), **found)


def track_command(options: TrackOptions) -> NoReturn:
    """Replace this process by a new interpreter, or print what is wrong and exit with 2."""
    problem = problem_of(options)
    if problem:
        print_error(problem)
        sys.exit(2)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command_of(options))


def command_of(options: TrackOptions) -> list[str]:
    """Return the command that runs the tracked program in a new process."""
    flags = cast("list[str]", vars(subprocess)["_args_from_interpreter_flags"]())
    return [sys.executable, *flags, "-m", "withal.tracking", options.dumped()]


def problem_of(options: TrackOptions) -> str:
    """Return what is wrong with the options, or an empty string."""
    if options.is_module:
        if not _is_module(options.target):
            return f"no module named {options.target!r}"
    elif options.target == STDIN:
        if os.isatty(0):
            return "standard input is a terminal; name a script, or redirect one to standard input"
    else:
        problem = _problem_with_script(options.target)
        if problem:
            return problem
    for each in options.ignore:
        if each not in _LEAKS:
            return f"--ignore {each!r} is not a class of leaks; use {', '.join(map(repr, _LEAKS))}"
    problem = _missing(options)
    if problem:
        return problem
    for path in options.json, options.html, options.perfetto:
        problem = "" if path is None else _unwritable(Path(path))
        if problem:
            return problem
    return ""


def _problem_with_script(path: str) -> str:
    from withal.tracking.main_module import has_main

    if not os.path.exists(path):
        return f"there is no script {path}"
    if not os.access(path, os.R_OK):
        return f"{path} cannot be read"
    if has_main(path) is False:
        return f"{path} has no __main__.py; to run a package, use -m"
    return ""


def _missing(options: TrackOptions) -> str:
    if options.otel and not _is_module("opentelemetry.trace"):
        return (
            "--otel needs opentelemetry-api, which is not installed: pip install opentelemetry-sdk"
        )
    if options.serve:
        from withal.tracking.serving import folders, problem_with

        return problem_with(folders()[0])
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
    if path.exists() and not os.access(path, os.W_OK):
        return f"cannot write the report: {path} is not writable"
    # A regular file is written under another name in the same folder, and then renamed.
    if (path.is_file() or not path.exists()) and not os.access(folder, os.W_OK):
        return f"cannot write the report: the folder {folder} is not writable"
    return ""
