"""The architecture: which module may import which. This table is its document.

A module imports only from layers above its own, and from those that the table grants it. Imports
inside functions and under TYPE_CHECKING count too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"

# Within the core, one line a module: what it may import is what stands above it.
CORE = [
    "facade",
    "aliases",
    "credentials",  # 0: the standard library, no asyncio
    "errors",
    "events",
    "site",
    "printable",
    "descriptors",
    "causes",
    "managers",
    "once",
    "lifecycle",
    "scopes.order",
    "scopes.snapshot",
    "scopes.program_deadline",
    "declared.declaration",
    "declared.plan",
    "outcome",  # 1: what waits, is waited for, or knows of cancellation
    "waiting.latch",
    "waiting.cancellation",
    "resources.base",
    "resources.managed",
    "resources.pause",
    "resources.hosted",
    "resources.inline",
    "resources.direct",
    "resources.task",
    "resources.callback",
    "scopes.value_index",  # 2: what a scope does with them
    "scopes.close_result",
    "scopes.context_variables",
    "scopes.starting",
    "scopes.stages",
    "scopes.state",
    "scopes.closing",
    "scopes.opening",
    "scopes.release",
    "declared.wait_graph",
    "declared.registry",
    "scope",
    "runner",
]
WITHOUT_ASYNCIO = CORE[: CORE.index("outcome")]

OURS = {"withal", "pytest_withal"}

# Elsewhere, one line a module or folder: what of withal it may import, besides itself.
GRANTS = {
    "withal._core": (),
    "withal": ("withal._core",),  # the facade, and no module but the cli may import it
    "withal.ledger": ("withal._core",),
    "withal.inspection": ("withal._core",),
    "withal.html_report": ("withal._core",),
    "withal.files.loop_budget": (),
    "withal.files.threads": ("withal._core",),
    "withal.files.system": (),
    "withal.files.streams": (
        "withal._core",
        "withal.files.loop_budget",
        "withal.files.threads",
        "withal.files.system",
    ),
    "withal.files.directories": ("withal.files.threads", "withal.files.system"),
    "withal.files.locks": ("withal.files.threads",),
    "withal.files.replace": (
        "withal._core",
        "withal.files.threads",
        "withal.files.system",
        "withal.files.streams",
    ),
    "withal.files.temporary": (
        "withal._core",
        "withal.files.threads",
        "withal.files.system",
        "withal.files.streams",
    ),
    "withal.files": (
        "withal._core",
        "withal.files.loop_budget",
        "withal.files.threads",
        "withal.files.system",
        "withal.files.streams",
        "withal.files.directories",
        "withal.files.locks",
        "withal.files.replace",
        "withal.files.temporary",
    ),
    "withal.pools": ("withal._core",),
    "withal.http": ("withal._core",),
    "withal.lease": ("withal._core", "withal.files.threads"),
    "withal.fetch": (
        "withal._core",
        "withal.files.threads",
        "withal.files.system",
        "withal.files.replace",
        "withal.http",
    ),
    "withal.testing": (
        "withal._core",
        "withal.inspection",
        "withal.audit.engine",  # its injector
        "withal.audit.inspect",
    ),
    "withal.audit.report": ("withal._core", "withal.audit", "withal.html_report"),
    "withal.audit.inspect": (
        "withal._core",
        "withal.inspection",
        "withal.audit",
        "withal.audit.report",
    ),
    "withal.audit.fixtures": (
        "withal.audit",
        "withal.audit.inspect",
        "withal.audit.report",
    ),
    "withal.audit.engine": (
        "withal._core",
        "withal.inspection",
        "withal.audit",
        "withal.audit.inspect",
        "withal.audit.report",
    ),
    "withal.audit.programs": (
        "withal._core",
        "withal.audit",
        "withal.audit.engine",
        "withal.audit.report",
    ),
    "withal.audit": (  # the API, and what all of the rooms know of
        "withal._core",
        "withal.audit.engine",
        "withal.audit.inspect",
        "withal.audit.fixtures",
        "withal.audit.report",
    ),
    "withal.tracking": ("withal", "withal._core", "withal.html_report", "withal.ledger"),
    "withal.cli": (
        "withal",
        "withal._core",
        "withal.fetch",
        "withal.ledger",
        "withal.audit",
        "withal.audit.engine",
        "withal.audit.programs",
        "withal.audit.report",
        "withal.tracking",
    ),
    "withal.__main__": ("withal.cli",),
    "pytest_withal": ("withal.audit", "withal.audit.report", "withal.ledger", "withal.tracking"),
}

# Who may import what from outside of the standard library.
THIRD_PARTY = {
    "withal._core.runner": {"uvloop"},  # if it is asked for, and installed
    "withal.audit.engine.delivery": {"anyio"},  # if that delivery is asked for
    "withal.audit.fixtures.operations": {"hypothesis"},  # if it is asked for a strategy
    "withal.http": {"aiohttp"},
    # Each by its class of leases, when one is made.
    "withal.lease.drivers": {"asyncpg", "psycopg"},
    "withal.lease.redis": {"redis"},
    # Each when the program has imported it.
    "withal.tracking.adapters.aiohttp": {"aiohttp"},
    "withal.tracking.adapters.aiosqlite": {"aiosqlite"},
    "withal.tracking.adapters.anyio": {"anyio"},
    "withal.tracking.adapters.asyncpg": {"asyncpg"},
    "withal.tracking.adapters.httpx": {"httpx"},
    "withal.tracking.adapters.psycopg": {"psycopg"},
    "withal.tracking.adapters.psycopg_pool": {"psycopg_pool"},
    "withal.tracking.adapters.redis": {"redis"},
    "withal.tracking.adapters.sqlalchemy": {"sqlalchemy"},
    "withal.tracking.adapters.websockets": {"websockets"},
    "withal.tracking.adapters.network": {"uvloop"},
    "withal.tracking.adapters.tasks": {"uvloop"},
    "withal.tracking.otel": {"opentelemetry"},  # if it is asked for
    "withal.fetch": {"aiohttp", "yarl"},
    "withal.fetch.cluster.cluster": {"ray"},  # if it is asked for
    "withal.fetch.cluster.shard": {"ray"},
    "withal.fetch.requests.parquet": {"pyarrow"},  # if it is asked for
    "withal.fetch.transports.curl_loop": {"pycurl"},  # if it is installed
    "withal.fetch.transports.curl_transport": {"multidict", "pycurl", "yarl"},  # if it is asked for
    "withal.cli": {"aiohttp", "rich", "typer"},
    "withal.cli.audit": {"rich", "uvloop"},  # if it is asked for
    "pytest_withal": {"pytest"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


MODULES = dict(modules())


def is_package(module: str) -> bool:
    return MODULES[module].name == "__init__.py"


def room_of(module: str) -> str:
    """Return the line of GRANTS that a module belongs to: its own or its folder's."""
    name = module
    while name not in GRANTS or (name == "withal" and module != "withal"):
        name, _, _ = name.rpartition(".")
        assert name, f"{module} stands in no layer; give it a line in this table"
    return name


def imports(module: str) -> set[str]:
    """Return the modules that a module imports, ours by their full names."""
    found = set[str]()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; name the module in full"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else node.module)
    return found


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name.partition(".")[0] in OURS}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    room = room_of(module)
    for name in ours(module):
        other = room_of(name)
        assert other == room or other in GRANTS[room], f"{module} may not import {name}"


@pytest.mark.parametrize("room", GRANTS)
def test_each_grant_is_used(room: str) -> None:
    imported = {
        room_of(name) for module in MODULES if room_of(module) == room for name in ours(module)
    }
    assert not set(GRANTS[room]) - imported, f"{room} uses none of these; take away the grant"


def test_within_the_core_a_module_imports_only_what_stands_above_it() -> None:
    modules = {name for name in MODULES if "._core." in name and not is_package(name)}
    present = {name.removeprefix("withal._core.") for name in modules}
    assert present == set(CORE)
    for position, name in enumerate(CORE):
        above = {f"withal._core.{each}" for each in CORE[:position]}
        assert ours(f"withal._core.{name}") <= above, name


@pytest.mark.parametrize("name", WITHOUT_ASYNCIO)
def test_the_pure_part_of_the_core_does_without_asyncio(name: str) -> None:
    assert "asyncio" not in {each.partition(".")[0] for each in imports(f"withal._core.{name}")}


@pytest.mark.parametrize("module", MODULES)
def test_other_packages_are_imported_only_where_they_are_granted(module: str) -> None:
    tops = {name.partition(".")[0] for name in imports(module)} - OURS
    foreign = tops - set(sys.stdlib_module_names) - {"_typeshed"}  # which only type checkers have
    granted = THIRD_PARTY.get(module, THIRD_PARTY.get(room_of(module), set()))
    assert foreign <= granted, f"{module} imports {foreign}"


# Besides the shield, what cancels by a scope, and shields nothing.
SHIELDS = {
    "withal._core.waiting.latch",
    "withal._core.waiting.cancellation",
    "withal.audit.engine.delivery",
}


def test_only_the_shield_withdraws_cancellations_and_shields() -> None:
    """``uncancel``, ``asyncio.shield`` and anyio's shield have one home, so that it can be read."""
    for module, path in MODULES.items():
        if module not in SHIELDS:
            names = {
                node.attr if isinstance(node, ast.Attribute) else node.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Attribute | ast.Name)
            }
            assert not names & {"uncancel", "shield", "CancelScope"}, module


def test_there_are_no_circles_of_imports() -> None:
    done = set[str]()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " > ".join((*trail, module))
        if module not in done:
            for name in ours(module) & set(MODULES):
                visit(name, (*trail, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())
