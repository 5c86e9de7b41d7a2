"""The documentation is true: its code runs, and what it refers to is there.

In a Markdown file, a block marked ``python`` runs in a namespace of its own. What it prints
must stand in the next block, marked ``text``. In a docstring, examples are doctests.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
DOCS = [page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS)]
PAGE_IDS = [str(page.relative_to(ROOT)) for page in PAGES]
SOURCE = ROOT / "src"
DOCTESTS = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text("utf-8")]

_FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    output: str | None  # the next block, if that is marked as text

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    source = page.read_text("utf-8")
    found = list(_FENCE.finditer(source))
    following: list[re.Match[str] | None] = [*found[1:], None]
    return [
        Block(
            page,
            source.count("\n", 0, match.start()) + 1,
            match[1],
            match[2],
            after[2] if after and after[1] == "text" else None,
        )
        for match, after in zip(found, following, strict=False)
    ]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_the_python_of_a_page_runs_and_prints_what_the_page_says(block: Block) -> None:
    if block.text.startswith(">>>"):
        examples = doctest.DocTestParser().get_doctest(block.text, {}, str(block), None, block.line)
        check_doctest(examples)
        return
    # The lines before it are made up, so that a traceback points into the page.
    code = compile("\n" * block.line + block.text, str(block.page), "exec", dont_inherit=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {"__name__": "__main__"})
    assert printed.getvalue() == (block.output or "")


def test_the_pages_have_python_to_run() -> None:
    assert {block.page.name for block in PYTHON} >= {"README.md", "design.md"}


@pytest.mark.parametrize("path", DOCTESTS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_examples_of_docstrings_run(path: Path) -> None:
    module = import_or_skip(path)
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert tests, "there is an example, and it is not in a docstring"
    for test in tests:
        check_doctest(test)


def import_or_skip(path: Path) -> ModuleType:
    """Import the module, or skip the test if an extra is missing."""
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.__cause__ or error
        if isinstance(missing, ModuleNotFoundError) and missing.name in OPTIONAL:
            pytest.skip(f"{missing.name} is not installed")
        raise


def check_doctest(test: doctest.DocTest) -> None:
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not failed, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"there is no heading for {link}"


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in a link."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_the_targets_of_make_that_a_page_names_exist(page: Path) -> None:
    code = [*_CODE.findall(prose(page)), *(block.text for block in blocks(page))]
    named = {name for text in code for name in re.findall(r"\bmake ([a-z][a-z-]*)", text)}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert named <= set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


PACKAGES = [path.name for path in (SOURCE / "withal").iterdir() if (path / "__init__.py").exists()]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    for name in _CODE.findall(prose(page)):
        if re.fullmatch(r"(tests|src|examples|benchmarks|docs)(/[\w.]+)+", name):
            assert (ROOT / name).exists() or "_build" in name, name
        elif re.fullmatch(rf"({'|'.join(PACKAGES)})(/\w+)+\.py", name):
            assert (SOURCE / "withal" / name).exists(), name


def test_the_design_names_the_file_that_holds_each_law() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    laws = re.findall(
        r"^(\d+)\. \*\*.*\]\(\.\./(tests/laws/test_(\d+)_\w+\.py)\)", text, re.MULTILINE
    )
    assert [int(number) for number, _, _ in laws] == list(range(1, 12))
    assert all(int(number) == int(in_name) for number, _, in_name in laws)
    held = {
        str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "laws").glob("test_[0-9]*.py")
    }
    assert {path for _, path, _ in laws} == held


def test_the_design_names_every_module_of_the_core() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    named = set(re.findall(r"`_core/([\w/]+)\.py`", text))
    core = SOURCE / "withal" / "_core"
    modules = core.rglob("[!_]*.py")
    present = {str(path.relative_to(core).with_suffix("")) for path in modules}
    assert named == present


def dependencies() -> set[str]:
    """Return the packages that pyproject.toml names, our own extras left out."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = declared["project"]["optional-dependencies"].values()
    needed = [*declared["build-system"]["requires"], *declared["project"]["dependencies"]]
    needed += [each for extra in extras for each in extra]
    return {re.split(r"[^\w-]", each, maxsplit=1)[0] for each in needed} - {"withal"}


OPTIONAL = dependencies()


def test_each_dependency_is_accounted_for() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == dependencies()
