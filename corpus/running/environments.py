"""A virtual environment for each set of packages, made once and used again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from corpus.running.child import Command, run
from corpus.running.failures import MissingError, PreparationError

ROOT = Path(__file__).parents[2]
_FOLDER = ROOT / ".corpus"
_INSTALL_SECONDS = 300.0


class Needs(Protocol):
    """What an environment is made of, as a case says it."""

    @property
    def installs(self) -> tuple[str, ...]:
        """What pip installs beside withal."""
        ...

    @property
    def python(self) -> str:
        """The version of the interpreter."""
        ...


async def make_ready(cases: Iterable[Needs]) -> None:
    """Make the environments of many cases, a few side by side; failures come up case by case."""
    distinct = {_folder(case): case for case in cases}
    at_once = asyncio.Semaphore(os.cpu_count() or 1)

    async def make_one(case: Needs) -> None:
        async with at_once:
            with suppress(MissingError, PreparationError):
                await environment(case)

    await asyncio.gather(*map(make_one, distinct.values()))


async def environment(case: Needs) -> Path:
    """Return the environment of a case, with withal as it is in this checkout and the packages.

    One that is there is used again, unless what withal itself needs has changed since. Packages
    without a version are brought to the newest release each time.

    Raises:
        MissingError: there is no such interpreter.
        PreparationError: pip could not install the packages.
    """
    folder = _folder(case)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = json.dumps(project)
    installed = folder / "installed-for.json"
    newest = any("==" not in package for package in case.installs)
    if newest or not installed.exists() or installed.read_text(encoding="utf-8") != needs:
        await _make(folder, case)
        installed.write_text(needs, encoding="utf-8")
    return folder


def _folder(case: Needs) -> Path:
    return _FOLDER / re.sub(r"[^\w.]+", "-", " ".join((f"python{case.python}", *case.installs)))


async def _make(folder: Path, case: Needs) -> None:
    if not (folder / "bin" / "python").exists():
        await _run(_interpreter(case.python), "-m", "venv", folder)
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install")
    await _run(*pip, "--quiet", "--upgrade", "--editable", f"{ROOT}[cli]", *case.installs)


async def _run(*words: str | Path) -> None:
    ended = await run(Command(words), timeout=_INSTALL_SECONDS)
    if ended.status != 0:
        raise PreparationError(ended.last_line or f"no end in {_INSTALL_SECONDS:.0f} s")


def _interpreter(version: str) -> str | Path:
    """Return the newest interpreter of a version on the path or among pyenv's."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    versions = sorted(
        pyenv.glob(f"versions/{version}.*/bin/python"),
        key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[-3])],
    )
    found = versions[-1] if versions else shutil.which(f"python{version}")
    if found is None:
        raise MissingError(f"there is no python{version} on this machine")
    return found
