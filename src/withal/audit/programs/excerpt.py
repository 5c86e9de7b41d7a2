"""The excerpt: the part of a module that a scenario needs, for a program of its own."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import final

from withal._core.aliases import JsonObject
from withal.audit.programs.standins import STAND_INS, WITHOUT_STAND_IN
from withal.audit.scenario import Scenario, ScenarioError

_PARTS: tuple[str, ...] = ("run", "setup", "probe")


@final
@dataclass(frozen=True, slots=True)
class Excerpt:
    """The code of a scenario.

    Attributes:
        parts: the names of the run, the setup and the probe.
        imports: the import statements that they need.
        code: the definitions of the module that they need, in order.
        names: all names that these bind.
        folder: the folder of the module, for imports of modules in the same folder.
    """

    parts: dict[str, str]
    imports: tuple[str, ...]
    code: str
    names: frozenset[str]
    folder: Path


def excerpt_of(target: str, scenario: Scenario) -> Excerpt:
    """Return the part of the target's module that its scenario needs.

    Args:
        target: ``module:name`` or ``file.py:name``.
        scenario: the scenario of that target.

    Raises:
        ScenarioError: if it cannot be extracted: the source is missing, the scenario is not defined
            at the top level of the module, or it uses features of withal.
    """
    place, _, name = target.rpartition(":")
    path = _path_of(place)
    try:
        module = _Module(path.read_text(encoding="utf-8"), _package_of(place))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise ScenarioError(f"the source of {target} cannot be read: {error}") from error
    parts = module.parts_of(name, scenario, _values(path))
    return module.excerpt(parts, path.parent)


def _path_of(place: str) -> Path:
    if place.endswith(".py"):
        return Path(place).resolve()
    file = getattr(sys.modules.get(place), "__file__", None)
    return Path(file or place)


def _package_of(place: str) -> str:
    return "" if place.endswith(".py") else str(getattr(sys.modules[place], "__package__", ""))


def _values(path: Path) -> JsonObject:
    """Return the values of a module's names."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(path):
            return vars(module)
    return {}


@final
class _Module:
    """The statements of a module, by the names that they bind."""

    def __init__(self, source: str, package: str) -> None:
        self._source = source
        self._lines = source.splitlines()
        self._package = package
        self._statements: dict[str, list[ast.stmt]] = {}
        self._tree = ast.parse(source)
        for statement in self._tree.body:
            for name in _bound(statement):
                self._statements.setdefault(name, []).append(statement)

    def parts_of(self, name: str, scenario: Scenario, values: JsonObject) -> dict[str, str]:
        """Return the expressions of the scenario's run, setup and probe."""
        given = {part: value for part in _PARTS if (value := getattr(scenario, part)) is not None}
        if values.get(name) is scenario.run and set(given) == {"run"}:
            return {"run": name}
        written = self._written(name)
        if written is not None and set(written) == set(given):
            return written
        named = {id(value): each for each, value in values.items() if each in self._statements}
        if all(id(value) in named for value in given.values()):
            return {part: named[id(value)] for part, value in given.items()}
        if "." in name and set(given) == {"run"}:
            return {"run": name}
        raise ScenarioError(
            f"{name} cannot be written as a program: its run, setup and probe must be named "
            "functions at the top level of the module"
        )

    def _written(self, name: str) -> dict[str, str] | None:
        """Return the arguments of the call of `Scenario` whose result is bound to that name."""
        for statement in self._statements.get(name, ()):
            value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
            is_call = isinstance(value, ast.Call) and ast.unparse(value.func).endswith("Scenario")
            if is_call:
                assert isinstance(value, ast.Call)
                given = dict(zip(_PARTS, map(ast.unparse, value.args), strict=False))
                for keyword in value.keywords:
                    if keyword.arg in _PARTS and ast.unparse(keyword.value) != "None":
                        given[keyword.arg] = ast.unparse(keyword.value)
                return given
        return None

    def excerpt(self, parts: dict[str, str], folder: Path) -> Excerpt:
        needed: list[ast.stmt] = []
        imports: list[str] = []
        stand_ins: list[str] = []
        todo = [name for expression in parts.values() for name in _names(ast.parse(expression))]
        seen = set[str]()
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            for statement in self._statements.get(name, ()):
                if isinstance(statement, ast.Import | ast.ImportFrom):
                    imported, stand_in = self._import(statement, name)
                    imports += imported
                    stand_ins += stand_in
                elif statement not in needed:
                    needed.append(statement)
                    todo += _names(statement)
        needed.sort(key=lambda statement: statement.lineno)
        blocks = [*stand_ins, *map(self._text, needed)]
        called = {part: each if _is_name(each) else part for part, each in parts.items()}
        lines = [f"{part} = {parts[part]}" for part, each in called.items() if each != parts[part]]
        code = "\n\n\n".join([*blocks, "\n".join(lines)] if lines else blocks)
        names = frozenset(seen) | called.keys()
        return Excerpt(called, tuple(dict.fromkeys(imports)), code, names, folder)

    def _import(
        self, statement: ast.Import | ast.ImportFrom, name: str
    ) -> tuple[list[str], list[str]]:
        """Return the import of one name, or the stand-in for a name of withal.audit."""
        alias = next(each for each in statement.names if _name_of(each) == name)
        as_ = f" as {alias.asname}" if alias.asname else ""
        if isinstance(statement, ast.Import):
            return [f"import {alias.name}{as_}"], []
        module = "." * statement.level + (statement.module or "")
        if statement.level:
            module = _absolute(module, self._package)
        if module == "__future__":
            return [], []
        if module == "withal.audit":
            return [], [_stand_in(alias.name, name, self._call_of(name))]
        return [f"from {module} import {alias.name}{as_}"], []

    def _call_of(self, name: str) -> str:
        """Return the source of a call of `name` in the module, or else the name."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                return ast.unparse(node)
        return name

    def _text(self, statement: ast.stmt) -> str:
        decorators = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(each.lineno for each in decorators)])
        return "\n".join(self._lines[first - 1 : statement.end_lineno])


def _is_name(expression: str) -> bool:
    return all(part.isidentifier() for part in expression.split("."))


def _absolute(module: str, package: str) -> str:
    """Return the absolute name of a module that is imported relatively."""
    if not package:
        raise ScenarioError(
            f"the relative import of {module} does not work in a program of its own; import it "
            "absolutely"
        )
    return resolve_name(module, package)


def _stand_in(name: str, bound: str, call: str) -> str:
    if name in WITHOUT_STAND_IN:
        raise ScenarioError(
            f"a program without withal cannot use {call}, which {WITHOUT_STAND_IN[name]}; "
            "audit a scenario without it, or write the program by hand"
        )
    code = STAND_INS.get(name)
    if code is None:
        raise ScenarioError(
            f"a program without withal cannot use withal.audit.{name}; remove it from the scenario"
        )
    return code if name == bound else f"{code}\n\n\n{bound} = {name}"


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds at the top of its module."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from map(_name_of, statement.names)
    elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
        if not _is_main(statement):
            for child in ast.iter_child_nodes(statement):
                if isinstance(child, ast.stmt):
                    yield from _bound(child)
    else:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _name_of(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _names(node: ast.AST) -> list[str]:
    """Return the names that a piece of code uses."""
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
