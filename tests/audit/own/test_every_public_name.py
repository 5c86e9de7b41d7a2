"""Everything public that may be cancelled is audited, or is named here with a reason."""

from __future__ import annotations

import importlib
import inspect
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from typing import Any

import pytest

from tests.audit.own.test_own import CASES, ON_ONE_LOOP
from withal import files

MODULES: dict[str, Any] = {
    "withal": importlib.import_module("withal"),
    "withal.files": files,
    "withal.files.os": files.os,
    "withal.files.os.path": files.os.path,
    "withal.files.tempfile": files.tempfile,
    "withal.pools": importlib.import_module("withal.pools"),
    "withal.http": importlib.import_module("withal.http"),
    "withal.fetch": importlib.import_module("withal.fetch"),
    "withal.lease": importlib.import_module("withal.lease"),
    "withal.testing": importlib.import_module("withal.testing"),
}

_SPECIAL = {"__aenter__", "__aiter__", "__anext__", "__await__"}
_MADE = (
    "AbstractAsync",
    "Async",
    "Hold",
    "Making",
    "Opening",
    "Scandir",
    "Threaded",
    "WrappedFile",
)

_NEVER_WAITS = "answered from what is known, without a suspension"
_OF_ANOTHER = "the object wrapped has to have it, and none of the standard library's does"
_AS_LISTXATTR = "as listxattr, and not every file system keeps such attributes"
_NOT_AUDITED = {
    "withal.fetch.on_ray": "a cluster takes ten seconds to start; its workers run `fetch`",
    "withal.files.BinaryFile.isatty": _NEVER_WAITS,
    "withal.files.BinaryFile.seekable": _NEVER_WAITS,
    "withal.files.BinaryFile.tell": _NEVER_WAITS,
    "withal.files.BinaryFile.writable": _NEVER_WAITS,
    "withal.files.TextFile.isatty": _NEVER_WAITS,
    "withal.files.TextFile.readable": _NEVER_WAITS,
    "withal.files.TextFile.seekable": _NEVER_WAITS,
    "withal.files.TextFile.tell": _NEVER_WAITS,
    "withal.files.TextFile.writable": _NEVER_WAITS,
    "withal.files.WrappedFile.pread": _OF_ANOTHER,
    "withal.files.WrappedFile.pwrite": _OF_ANOTHER,
    "withal.files.os.getxattr": _AS_LISTXATTR,
    "withal.files.os.removexattr": _AS_LISTXATTR,
    "withal.files.os.setxattr": _AS_LISTXATTR,
    "withal.files.Path.lchmod": "the system has none, and it raises before it waits",
    "withal.testing.check_manager": "cancels what it checks by itself; it is a tool of tests",
}


def public() -> Iterator[str]:
    """Yield what may be awaited, entered or iterated, with its module and class."""
    for module, contents in MODULES.items():
        for name in getattr(contents, "__all__", None) or vars(contents):
            thing = getattr(contents, name)
            if name.startswith("_") or inspect.ismodule(thing):
                continue
            if inspect.isclass(thing):
                yield from _methods(f"{module}.{name}", thing)
            elif _may_wait(thing):
                yield f"{module}.{name}"


def _methods(name: str, cls: type) -> Iterator[str]:
    if cls.__module__.partition(".")[0] != "withal" or issubclass(cls, AbstractEventLoop):
        return
    for method, function in inspect.getmembers(cls):
        if method in _SPECIAL or (not method.startswith("_") and _may_wait(function)):
            yield f"{name}.{method}"


def _may_wait(thing: Any) -> bool:
    if inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(thing):
        return True
    if not inspect.isroutine(thing):
        return type(thing).__name__ == "StandardStream"
    returned = str(getattr(thing, "__annotations__", {}).get("return", ""))
    return returned.startswith(_MADE)


AUDITED = {name for case in [*CASES, *ON_ONE_LOOP] for name in case.covers}


@pytest.mark.parametrize("name", sorted(public()))
def test_what_may_be_cancelled_is_audited(name: str) -> None:
    assert (name in AUDITED) != (name in _NOT_AUDITED), (
        f"{name} may be cancelled: add a line to a table in tests/audit/own, or a reason here"
    )


def test_what_is_named_is_public() -> None:
    stale = (AUDITED | set(_NOT_AUDITED)) - set(public())
    assert not stale - _SYNCHRONOUS, stale


_SYNCHRONOUS = {
    "withal.pools.Keyed.__call__",
    "withal.Scope.defer",
    "withal.Scope.spawn",
    "withal.observing",
    "withal.ledger.Ledger",
}
"""These cannot be cancelled, but what they have a scope do can."""
