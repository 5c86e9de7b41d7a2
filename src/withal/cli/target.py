"""Targets: the object in a module or file that an argument names."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import final

_OURS = {__file__, importlib.__file__}


@final
class TargetError(Exception):
    """The object was not found. The text has what to write instead."""


def load(target: str) -> object:
    """Import the object that ``module:name`` or ``file.py:name`` names, from the current folder.

    Raises:
        TargetError: if it is malformed, cannot be imported, or does not exist.
    """
    place, colon, name = target.rpartition(":")
    if not (place and colon and name):
        raise TargetError(f"{target!r} is not a target; write module:name or file.py:name")
    found: object = _imported(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise TargetError(f"{place} has no {name!r}{_instead(part, found)}")
        found = getattr(found, part)
    return found


def _imported(place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _from_file(Path(place))
        sys.path.insert(0, "")
        return importlib.import_module(place)
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{place} cannot be imported: {type(error).__name__}: {error}{_line_of(error)}"
        ) from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"there is no file {str(path)!r}")
    sys.path.insert(0, str(path.parent.resolve()))  # the same as python does for a script
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _line_of(error: BaseException) -> str:
    """Return the place in the user's own file where an import has failed."""
    traceback = error.__traceback__
    place = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith("<") and code.co_filename not in _OURS:
            place = f", at {code.co_filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def _instead(name: str, found: object) -> str:
    names = [each for each in vars(found) if not each.startswith("_")] if _has_names(found) else []
    close = difflib.get_close_matches(name, names, n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _has_names(found: object) -> bool:
    return hasattr(found, "__dict__")
