"""Rewriting: surrounds each ``with`` statement of a module with calls of `watch`.

Each node keeps its line and column, and added nodes have those of their statement. So tracebacks,
coverage and debuggers show the lines of the source.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import CodeType
from typing import Any, TypeAlias, TypeVar, cast, final

from withal._core.aliases import AnyFunction

# The functions are constants of the code. So no name of the program can shadow them, and they work
# at the end of the interpreter, which clears all names. In cached code these strings replace them.
WATCHED = "@withal.watched"
ENTERED = "@withal.entered"
LEFT = "@withal.left"
ENTER_BY_HAND = "@withal.enter_by_hand"
LEAVE_BY_HAND = "@withal.leave_by_hand"
ACQUIRE = "@withal.acquire"
RELEASE = "@withal.release"

Calls: TypeAlias = Mapping[str, AnyFunction]

W = TypeVar("W", ast.With, ast.AsyncWith)
N = TypeVar("N", bound=ast.AST)

_ENTERS = "__enter__", "__aenter__"
_EXITS = "__exit__", "__aexit__"


def compile_watched(source: Any, path: str, flags: int = 0) -> CodeType:
    """Compile the source of a module for `with_calls`, which inserts the functions.

    Raises:
        SyntaxError: as `compile` does.
    """
    tree = compile(source, path, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    tree = _Rewriter().visit(tree)
    return cast("CodeType", compile(tree, path, "exec", flags, dont_inherit=True))


def with_calls(code: CodeType, calls: Calls) -> CodeType:
    """Return compiled code with the functions in place of the strings."""
    constants = tuple(
        with_calls(each, calls)
        if isinstance(each, CodeType)
        else calls.get(each, each)
        if isinstance(each, str)
        else each
        for each in code.co_consts
    )
    return code.replace(co_consts=constants)


@final
class _Rewriter(ast.NodeTransformer):
    def __init__(self) -> None:
        self._number = 0

    def visit_With(self, node: ast.With) -> ast.AST:  # as ast calls it
        return self._watched(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        return self._watched(node)

    def _watched(self, node: W) -> ast.AST:
        self._number += 1
        number = self._number
        self.generic_visit(node)
        for item in node.items:
            call = _call(WATCHED, item.context_expr, ast.Constant(number))
            item.context_expr = _at(call, item.context_expr)
        first = node.items[0].context_expr
        node.body.insert(0, _at(ast.Expr(_call(ENTERED, ast.Constant(number))), first))
        leave = _at(ast.Expr(_call(LEFT, ast.Constant(number))), first)
        return _at(ast.Try(body=[node], handlers=[], orelse=[], finalbody=[leave]), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        method = node.func
        if not isinstance(method, ast.Attribute) or _is_super(method.value):
            return node
        if method.attr in _ENTERS and not node.args and not node.keywords:
            return _at(_call(ENTER_BY_HAND, method.value, ast.Constant(method.attr)), node)
        if method.attr in _EXITS:
            method.value = _at(_call(LEAVE_BY_HAND, method.value), method.value)
        elif method.attr == "acquire":
            node.func = _at(_call(ACQUIRE, method.value), method)
        elif method.attr == "release":
            method.value = _at(_call(RELEASE, method.value), method.value)
        return node


def _is_super(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "super"
    )


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    # The compiler warns of a call of a plain constant, so it is wrapped in a conditional.
    function = ast.IfExp(ast.Constant(True), ast.Constant(name), ast.Constant(None))
    return ast.Call(function, list(arguments), [])


def _at(node: N, place: ast.AST) -> N:
    """Copy a position to a node and to all nodes in it that have none."""
    todo: list[ast.AST] = [node]
    while todo:
        each = todo.pop()
        if not hasattr(each, "lineno"):
            ast.copy_location(each, place)
            todo += ast.iter_child_nodes(each)
    return node
