"""Accepted findings: they do not affect the verdict, so that only new ones do."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, final

from withal._core.printable import printable
from withal.audit.report.locations import Places
from withal.audit.report.outline import worst_first
from withal.audit.report.record import Attempt, AuditRecord, Finding, Verdict
from withal.audit.scenario import ScenarioError

_KEY = re.compile(r"[0-9a-f]{10}")
_TOP = (
    "# Accepted findings of withal audit. Each line has the key of a finding, the audited target\n"
    "# and a description.\n"
)

AnyRecord = TypeVar("AnyRecord", bound=AuditRecord)


@final
@dataclass(frozen=True, slots=True)
class Accepted:
    """A list of findings by key.

    Attributes:
        file: the file of the list.
        lines: by key, the rest of the line: the target and a description.
    """

    file: Path
    lines: dict[str, str]

    @classmethod
    def read(cls, file: Path, *, may_be_missing: bool = False) -> Accepted:
        """Read a list. Empty lines, and lines that begin with ``#``, are ignored.

        Raises:
            ScenarioError: if the file does not exist, or a line does not begin with a key.
        """
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            if may_be_missing:
                return cls(file, {})
            raise ScenarioError(
                f"there is no file {str(file)!r} with accepted findings; --accept-new writes it"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"{str(file)!r} cannot be read: {error}") from error
        lines: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            key, _, rest = line.strip().partition(" ")
            if not key or key.startswith("#"):
                continue
            if not _KEY.fullmatch(key):
                raise ScenarioError(
                    f"{file}:{number}: {key!r} is not the key of a finding; a key has ten digits "
                    "0-9a-f, such as 5d02c7e1aa"
                )
            lines[key] = rest.strip()
        return cls(file, lines)

    def applied(self, record: AnyRecord) -> AnyRecord:
        """Return a record in which findings with these keys do not affect the verdict."""
        attempts = tuple(map(self._without_accepted, record.attempts))
        verdict = record.verdict
        if verdict is Verdict.UNSAFE and not any(each.findings for each in attempts):
            is_whole = not record.reason and not any(each.unresolved for each in attempts)
            verdict = Verdict.SAFE if is_whole else Verdict.UNRESOLVED
        return replace(record, attempts=attempts, verdict=verdict)

    def gone(self, record: AuditRecord) -> list[str]:
        """Return the lines for this target whose findings are not in a record any more."""
        found = {each.key for each in (*record.findings, *record.excused)}
        return [
            f"{key} {rest}"
            for key, rest in self.lines.items()
            if key not in found and rest.partition(" ")[0] in {"", _name_of(record)}
        ]

    def with_new(self, record: AuditRecord) -> Accepted:
        """Return the list with the findings of a record added, and add them to the file.

        The file is replaced atomically; its other lines are kept.

        Raises:
            OSError: if it cannot be written.
        """
        places = Places()
        new = {
            each.key: _line(record, each, places)
            for each in worst_first(record.findings)
            if each.key not in self.lines
        }
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else _TOP
        text += "" if text.endswith("\n") or not text else "\n"
        text += "".join(f"{key} {rest}\n" for key, rest in new.items())
        folder = self.file.absolute().parent
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as file:
            file.write(text)
        os.replace(file.name, self.file)
        return replace(self, lines=self.lines | new)

    def _without_accepted(self, attempt: Attempt) -> Attempt:
        known = [each for each in attempt.findings if each.key in self.lines]
        if not known:
            return attempt
        excuse = f"accepted in {self.file}"
        return replace(
            attempt,
            findings=tuple(each for each in attempt.findings if each not in known),
            excused=(*attempt.excused, *(replace(each, excuse=excuse) for each in known)),
        )


def _name_of(record: AuditRecord) -> str:
    return (record.target or record.scenario).replace(" ", "_")


def _line(record: AuditRecord, finding: Finding, places: Places) -> str:
    place = places.of(finding.suspension.site)
    where = f"{os.path.basename(place.file)} in {place.function}" if place.file else str(place)
    return printable(f"{_name_of(record)} {finding.category}: {where}")
