"""One name, one thing: no class or function has two homes, and a number says what it counts."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.test_layers import MODULES

# Names that are defined in several modules on purpose, and why.
INTENDED = {
    # Public names, each of its own facade: `withal.audit.Finding`, `withal.testing.Finding`.
    "Finding",
    "Holder",
    "Report",
    "Resource",
    "Transport",
    "audit",
    "fetch",
    "run",
    # The same function for another facade: `files.os.copy` is `copy` in a thread.
    "copy",
    "copy2",
    "copyfile",
    "copytree",
    "move",
    "rmtree",
    # One of a family that is called by its module: `json.render`, `sqlalchemy.follow`.
    "follow",
    "main",
    "render",
    # The command line counts without importing the audit.
    "counted",
}

UNITS = {"BYTES", "CHARACTERS", "MICROSECONDS", "NS", "SECONDS"}
NOUNS = {
    "CALLS", "CONNECTIONS", "COST", "COUNT", "DESCRIPTOR", "DESCRIPTORS", "DEVICES", "ENTRIES",
    "ERRORS", "FACTOR", "FAILURES", "FILES", "FLAG", "FOLDERS", "FUTURES", "HANDLES", "HOLDERS",
    "HOSTS", "ITEMS", "JOBS", "KEY", "LEAKS", "LINES", "LINKS", "LOOKS", "MAPPINGS", "PARTS",
    "PERMISSIONS", "PLACES", "POLLS", "RANK", "RATE", "REASONS", "RECORDS", "REFERENCES",
    "REQUESTS", "RESULTS", "ROUNDS", "ROWS", "RUNS", "SHARDS", "SHARE", "SIZE", "SPANS", "STATUS",
    "SUSPENSIONS", "TASKS", "THREADS", "TRIES", "TURNS", "VERSION", "WAITING", "WAITS",
}  # fmt: skip


def definitions() -> Iterator[tuple[str, str]]:
    """Yield the public-looking classes and functions of all modules, and where each is."""
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                    pass
                case ast.AsyncFunctionDef(name=name):
                    pass
                case _:
                    continue
            if not name.startswith("_"):
                yield name, module


def numbers(path: Path) -> Iterator[str]:
    """Yield the names of the constants of a module whose value is a number."""
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if name.isupper() and all(
            isinstance(each, ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop)
            or (isinstance(each, ast.Constant) and type(each.value) in {int, float})
            for each in ast.walk(value)
        ):
            yield name


def test_a_name_is_defined_in_one_module() -> None:
    homes = defaultdict[str, set[str]](set)
    for name, module in definitions():
        homes[name].add(module)
    several = {name: sorted(found) for name, found in homes.items() if len(found) > 1}
    assert not {name: found for name, found in several.items() if name not in INTENDED}
    assert not INTENDED - set(several), "these have one home now; take them off the list"


def test_the_name_of_a_number_ends_in_a_unit_or_a_noun() -> None:
    vague = {
        f"{module}.{name}"
        for module, path in MODULES.items()
        for name in numbers(path)
        if name.rpartition("_")[2] not in UNITS | NOUNS
    }
    assert not vague
