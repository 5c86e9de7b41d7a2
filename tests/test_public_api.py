"""What is public: the facade exports it, it is final, documented and typed."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import withal

FACADES = [
    "withal",
    "withal.files",
    "withal.http",
    "withal.pools",
    "withal.fetch",
    "withal.lease",
    "withal.testing",
    "withal.audit",
    "withal.ledger",
    "withal.inspection",
    "withal.tracking",
]
PUBLIC_MODULES: list[str] = []  # no facade: what has no underscore and is their own


def exported(module: ModuleType) -> dict[str, Any]:
    names: list[str] = getattr(module, "__all__", None) or [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]
    return {name: getattr(module, name) for name in names}


THINGS = {
    f"{module}.{name}": thing
    for module in (*FACADES, *PUBLIC_MODULES)
    for name, thing in exported(importlib.import_module(module)).items()
}
CLASSES = {name: thing for name, thing in THINGS.items() if inspect.isclass(thing)}


def test_the_facade_exports_exactly_this() -> None:
    assert withal.__all__ == [
        "AlreadyEnteredError",
        "AlreadyOpenError",
        "CloseTimeoutError",
        "CriticalPath",
        "Declaration",
        "DeclarationError",
        "DependencyCycleError",
        "Event",
        "NotOpenError",
        "Observer",
        "Outcome",
        "Plan",
        "PlannedResource",
        "ResourceLostError",
        "ResourceSnapshot",
        "Scope",
        "ScopeClosedError",
        "ScopeSnapshot",
        "Step",
        "StillNeededError",
        "WithalError",
        "needs",
        "observing",
        "resource",
        "run",
    ]


@pytest.mark.parametrize("name", FACADES)
def test_a_facade_has_no_logic_and_says_all_that_it_exports(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    allowed = (ast.Expr, ast.ImportFrom, ast.Assign, ast.Try)
    assert all(isinstance(node, allowed) for node in tree.body if not is_for_checkers(node))
    assert list(module.__all__) == sorted(module.__all__)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module not in MACHINERY
        for alias in node.names
    }
    assert imported == set(module.__all__)


MACHINERY = {"__future__", "typing", "withal._core.facade"}


def is_for_checkers(node: ast.stmt) -> bool:
    """Tell whether it is ``if TYPE_CHECKING`` or ``if not TYPE_CHECKING``."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


@pytest.mark.parametrize("name", ["withal", "withal.files", "withal.http"])
def test_what_a_facade_defers_is_what_type_checkers_see(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    (seen,) = (node for node in tree.body if ast.unparse(node).startswith("if TYPE_CHECKING:"))
    imported = {
        alias.name: f"{name}.{alias.name}" if node.module == name else node.module
        for node in ast.walk(seen)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == module._HOMES
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'missing'"):
        _ = module.missing


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(done.stdout.decode().split())


def test_importing_the_files_imports_little_else() -> None:
    loaded = loaded_by("import withal.files") - loaded_by("import asyncio")
    assert not loaded & {
        "withal._core.scope", "withal.files.path", "withal.files.os", "withal.files.tempfile",
        "tempfile", "shutil", "pathlib", "random", "hashlib", "urllib.parse",
    }  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_public_classes_are_final(name: str) -> None:
    # Two are bases that users catch; the other is to be extended as pathlib.Path is.
    if name not in ("withal.WithalError", "withal.CloseTimeoutError", "withal.files.Path"):
        assert getattr(CLASSES[name], "__final__", False), f"mark {name} with @final"


@pytest.mark.parametrize("name", THINGS)
def test_everything_public_is_documented(name: str) -> None:
    thing = THINGS[name]
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return  # an alias of a type, which can have no docstring
    assert own_doc(thing), name
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if not member.startswith("_") and inspect.isroutine(function):
                assert own_doc(function), f"{name}.{member}"


def own_doc(thing: Any) -> str | None:
    doc: str | None = thing.__doc__
    return doc and doc.strip()


@pytest.mark.parametrize("name", THINGS)
def test_public_functions_say_what_their_arguments_are(name: str) -> None:
    thing = THINGS[name]
    if inspect.isfunction(thing):
        signature = inspect.signature(thing)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in signature.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}({parameter})"


@pytest.mark.parametrize("name", [name for name in CLASSES if name.endswith("Error")])
def test_errors_stand_below_one_base_and_survive_pickling(name: str) -> None:
    import pickle

    cls = CLASSES[name]
    assert issubclass(cls, withal.WithalError)
    if cls is not withal.WithalError:
        count = len(inspect.signature(cls).parameters)
        error = cls(*[f"field {number}" for number in range(count)][:count])
        again = pickle.loads(pickle.dumps(error))
        assert vars(again) == vars(error)
        assert again.args == error.args


def test_importing_withal_is_light() -> None:
    code = "import sys, withal; print('aiohttp' in sys.modules, 'rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(inspect.getfile(withal)).parent / "py.typed").exists()


@pytest.mark.parametrize("facade", FACADES)
def test_a_traceback_names_an_error_as_the_facade_that_exports_it(facade: str) -> None:
    """An error of the core that another facade exports as well is the core's."""
    for name, thing in exported(importlib.import_module(facade)).items():
        if isinstance(thing, type) and issubclass(thing, BaseException):
            assert thing.__module__ in {facade, "withal"}, name
