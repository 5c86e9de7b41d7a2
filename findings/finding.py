"""The entries of the table: a finding, and a scenario without findings."""

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
        version: the release that was audited; for CPython, the newest one.
        location: the file and the function to change.
        fault: what goes wrong, or which resource is left behind.
        consequence: what a user of the library notices, in sentences.
        fix: how to fix it, in a sentence.
        report: a link to a report of it; empty if none was found.
        related: a link to a report of a similar fault.
        also_install: what pip installs in addition to the library.
        pythons: the versions of CPython that it is tried on.
        service: the server that must be running.
        finds: the categories that the audit of the scenario finds; empty if no cancellation is
            needed, and there is no scenario.
        may_find: categories that the audit finds or not, depending on timing.
    """

    name: str
    library: str
    version: str
    location: str
    fault: str
    consequence: str
    fix: str
    report: str = ""
    related: str = ""
    also_install: tuple[str, ...] = ()
    pythons: tuple[str, ...] = (_PYTHON,)
    service: Service | None = None
    finds: tuple[Category, ...] = ()
    may_find: tuple[Category, ...] = ()

    @property
    def plain(self) -> Path:
        """The script that shows the fault without withal."""
        return PLAIN / f"{self.name}.py"

    def case(self, python: str) -> Case:
        """Return the audit of its scenario on an interpreter."""
        return Case(
            f"{self.name}.py:scenario",
            (*pinned(self.library, self.version), *self.also_install),
            finds=self.finds,
            may_find=self.may_find,
            python=python,
            service=self.service,
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """A scenario of the current release of a library for which the audit found nothing.

    Attributes:
        name: the name of its scenario, `scenarios/NAME.py`.
        library: the distribution, or `CPYTHON`.
        version: the release that was audited.
        audited: what the scenario does.
        also_install: what pip installs in addition to the library.
        service: the server that must be running.
    """

    name: str
    library: str
    version: str
    audited: str
    also_install: tuple[str, ...] = ()
    service: Service | None = None

    @property
    def case(self) -> Case:
        """The audit of its scenario."""
        return Case(
            f"{self.name}.py:scenario",
            (*pinned(self.library, self.version), *self.also_install),
            python=_PYTHON,
            service=self.service,
        )


def pinned(library: str, version: str) -> tuple[str, ...]:
    """Return what pip installs for a release: nothing for CPython itself."""
    return () if library == CPYTHON else (f"{library}=={version}",)
