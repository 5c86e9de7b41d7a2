"""The main module: runs a program in the place of ``__main__``, as ``python`` would run it."""

from __future__ import annotations

import builtins
import os
import pkgutil
import runpy
import sys
from importlib.machinery import BuiltinImporter, SourceFileLoader
from types import ModuleType
from typing import Any

from withal.tracking.options import STDIN, TrackOptions
from withal.tracking.program import PROGRAM, TrackedProgram
from withal.tracking.rewriting import Calls, compile_watched, with_calls


def run_main(options: TrackOptions, program: TrackedProgram, calls: Calls) -> None:
    """Run a module, a script, standard input, or the ``__main__.py`` of a folder or zip archive.

    Args:
        options: what to run; ``sys.argv`` is set already.
        program: gets to know standard input as the program's own code.
        calls: the functions that are called around each ``with`` statement.
    """
    if options.is_module:
        sys.path[0] = os.getcwd()
        sys.argv[0] = "-m"
        _run_module(options.target)
    elif options.target == STDIN:
        sys.path[0] = ""
        program.known["<stdin>"] = PROGRAM
        _run_source(_read(0), "<stdin>", BuiltinImporter, calls)
    elif has_main(options.target):
        sys.path[0] = _absolute(options.target)
        _run_module("__main__", False)
    else:
        path = _absolute(options.target)
        sys.path[0] = os.path.dirname(os.path.realpath(path))
        _run_source(_read_file(path), path, SourceFileLoader("__main__", path), calls)


def has_main(path: str) -> bool | None:
    """Return whether a folder or a zip archive has a ``__main__`` module; None for other files."""
    importer: Any = pkgutil.get_importer(_absolute(path))
    return None if importer is None else importer.find_spec("__main__") is not None


def _absolute(path: str) -> str:
    """Return a path as the interpreter makes that of a program absolute: not normalized."""
    return os.path.join(os.getcwd(), path)


def _run_module(*arguments: object) -> None:
    _new_main()
    # The interpreter itself calls this function for -m, folders and archives.
    runpy._run_module_as_main(*arguments)  # type: ignore[attr-defined]


def _run_source(source: bytes, path: str, loader: object, calls: Calls) -> None:
    code = with_calls(compile_watched(source, path), calls)
    module = _new_main()
    module.__dict__.update(__file__=path, __builtins__=builtins, __loader__=loader)
    if sys.version_info < (3, 15):
        vars(module)["__cached__"] = None
    exec(code, module.__dict__)


def _new_main() -> ModuleType:
    """Return a new ``__main__``, as the interpreter creates it at its start."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    if sys.version_info < (3, 14):
        vars(module)["__annotations__"] = {}
    return module


def _read_file(path: str) -> bytes:
    """Read a file with functions that are not tracked."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    return b"".join(iter(lambda: os.read(descriptor, 1 << 20), b""))
