"""The trial: a program is run before it is printed, and has the result in its docstring."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from withal.audit.engine.reordering import is_order_address
from withal.audit.programs.excerpt import excerpt_of
from withal.audit.programs.program import Program
from withal.audit.report import messages as words
from withal.audit.report.outline import worst_first
from withal.audit.report.record import AuditRecord, Finding
from withal.audit.scenario import Scenario, ScenarioError

_CONFIRMING_RUNS = 3
_START_SECONDS = 60.0  # seconds that a program may take besides its scenario, under load too


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """The result of running a program.

    Attributes:
        shown: the number of runs that have shown the finding.
        last: the last line of output of a run that has not shown it.
    """

    shown: int
    last: str

    @property
    def note(self) -> str:
        """The result as text, for the docstring of the program."""
        if self.shown == _CONFIRMING_RUNS:
            return f"It was run {_CONFIRMING_RUNS} times, and showed this each time."
        why = f" It printed: {self.last}" if self.last else ""
        if self.shown:
            times = f"it was run {_CONFIRMING_RUNS} times, and showed this {self.shown} times"
            return f"FLAKY: {times}.{why}"
        return (
            f"DOES NOT REPRODUCE: it was run {_CONFIRMING_RUNS} times, and has not shown this.{why}"
        )


def script_of(record: AuditRecord, scenario: Scenario) -> str:
    """Return the worst finding of an audit as a script that does not import withal.

    Raises:
        ScenarioError: if it cannot be written without withal; the text has the reason.
    """
    return _tried(record, scenario, Program.script)


def test_of(record: AuditRecord, scenario: Scenario) -> str:
    """Return the worst finding of an audit as a test for pytest; raises as `script_of`."""
    return _tried(record, scenario, Program.test)


def _tried(record: AuditRecord, scenario: Scenario, render: Callable[[Program, str], str]) -> str:
    if record.target is None:
        raise ScenarioError("only `withal audit` can write a program; run it with this scenario")
    if not record.findings:
        return "".join(f"# {line}\n" for line in _without_finding(record))
    first, *others = _by_key(record)
    if is_order_address(first.address):
        raise ScenarioError(
            "a program cannot change the order of its tasks; replay the schedule with "
            f"{record.replay(first.address)}"
        )
    program = Program(record, first, scenario, excerpt_of(record.target, scenario))
    trial = _trial(program)
    if not trial.shown:  # leftovers may be visible only after the environment is closed
        late = replace(program, looks_late=True)
        if (again := _trial(late)).shown:
            program, trial = late, again
    notes = [trial.note, *_servers(trial.last), *(_other(record, each) for each in others)]
    return render(program, "\n".join(notes))


def _by_key(record: AuditRecord) -> list[Finding]:
    found: dict[str, Finding] = {}
    for finding in worst_first(record.findings):
        found.setdefault(finding.key, finding)
    return list(found.values())


def _other(record: AuditRecord, finding: Finding) -> str:
    return f"Another finding: {finding.category}; add --at {finding.address} for its program."


def _without_finding(record: AuditRecord) -> list[str]:
    """Return why there is no program: a server that is missing has no findings either."""
    reason = [record.reason.splitlines()[0]] if record.reason else []
    return [
        words.headline(record),
        *reason,
        *_servers(record.reason),
        "There is no finding to write a program for.",
    ]


def _servers(problem: str) -> list[str]:
    """Return the server that is needed, if it could not be reached."""
    refused = re.search(r"ConnectionRefusedError.*|Connect call failed.*", problem)
    return [f"It needs a server: {refused.group()}"] if refused else []


def _trial(program: Program) -> Trial:
    shown, last = 0, ""
    with tempfile.TemporaryDirectory(prefix="withal-audit-") as folder:
        path = Path(folder) / "finding.py"
        path.write_text(program.script(""), encoding="utf-8")
        for _ in range(_CONFIRMING_RUNS):
            is_shown, output = _run(path, program)
            shown += is_shown
            last = last if is_shown else output
    return Trial(shown, last)


def _import_folders(folder: Path) -> Iterator[str]:
    """Yield where the modules are found that the code in a folder imports.

    The folder itself is left out if a module in it would hide one of the standard library, as a
    package's ``inspect`` does: within the package it has another name.
    """
    names = {each.stem for each in folder.glob("*.py")}
    names |= {each.parent.name for each in folder.glob("*/__init__.py")}
    if not names & sys.stdlib_module_names:
        yield str(folder)
    root = folder
    while (root / "__init__.py").exists():
        root = root.parent
    yield str(root)


def _run(path: Path, program: Program) -> tuple[bool, str]:
    """Run a program; return whether it has shown the finding, and its last line of output."""
    timeout = _START_SECONDS + 4 * program.record.timeout
    places = [*_import_folders(program.excerpt.folder), os.getcwd(), os.getenv("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    command = [sys.executable, str(path)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=timeout,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"it did not end within {timeout:g} s"
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    is_shown = done.returncode == 1 and any(line.startswith("seen:") for line in lines)
    return is_shown, lines[-1] if lines else f"(nothing; it ended with {done.returncode})"
