"""What is known of a finding, and of what was audited and found safe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from corpus.table import Case, Service

from withal.audit import Category

FOLDER = Path(__file__).parent
PLAIN = FOLDER / "plain"
SCENARIOS = FOLDER / "scenarios"

CPYTHON = "CPython"
_PYTHON = "3.13"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault in the current release of a library.

    Attributes:
        name: the name of its files: `plain/NAME.py`, and `scenarios/NAME.py` if it is audited.
        library: the distribution that has the fault, or `CPYTHON`.
        version: the release that was tried; of CPython, the newest one that was.
        line: the file and the function that would have to change.
        left: what is left, or what goes wrong.
        suffered: what a user of the library notices.
        mended: what would mend it.
        known: a link to a report of it; empty if none was found.
        near: a link to a report of something like it.
        more: what pip installs beside the library.
        pythons: the interpreters that it is tried on.
        service: the server that must be running.
        finds: the categories that the audit of the scenario finds; empty if no cancellation is
            needed, and there is no scenario.
        may_find: categories that the audit finds or not, depending on timing.
    """

    name: str
    library: str
    version: str
    line: str
    left: str
    suffered: str
    mended: str
    known: str = ""
    near: str = ""
    more: tuple[str, ...] = ()
    pythons: tuple[str, ...] = (_PYTHON,)
    service: Service | None = None
    finds: tuple[Category, ...] = ()
    may_find: tuple[Category, ...] = ()

    @property
    def plain(self) -> Path:
        """The script that shows it without withal."""
        return PLAIN / f"{self.name}.py"

    def case(self, python: str) -> Case:
        """Return the audit of its scenario on an interpreter."""
        return Case(
            f"{self.name}.py:scenario",
            (*pinned(self.library, self.version), *self.more),
            finds=self.finds,
            may_find=self.may_find,
            python=python,
            service=self.service,
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """Something in the current release of a library that the audit found safe.

    Attributes:
        name: the name of its scenario, `scenarios/NAME.py`.
        library: the distribution, or `CPYTHON`.
        version: the release that was audited.
        audited: what the scenario does.
        more: what pip installs beside the library.
        service: the server that must be running.
    """

    name: str
    library: str
    version: str
    audited: str
    more: tuple[str, ...] = ()
    service: Service | None = None

    @property
    def case(self) -> Case:
        """The audit of its scenario."""
        return Case(
            f"{self.name}.py:scenario",
            (*pinned(self.library, self.version), *self.more),
            python=_PYTHON,
            service=self.service,
        )


def pinned(library: str, version: str) -> tuple[str, ...]:
    """Return what pip installs for a release: nothing for CPython itself."""
    return () if library == CPYTHON else (f"{library}=={version}",)
