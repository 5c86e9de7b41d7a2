"""A report as SARIF 2.1.0, which code hosts and editors show beside the code.

SARIF is the "Static Analysis Results Interchange Format" of OASIS, errata 01:
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

from withal._core.printable import printable
from withal.audit.report import messages as words
from withal.audit.report.locations import Location, Places
from withal.audit.report.record import WORST_FIRST, AuditRecord, Category, Finding, Verdict

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT: Final = "SRCROOT"

_Object = dict[str, object]


def render(record: AuditRecord) -> str:
    """Return a run with a rule for each category and a result for each finding.

    Paths below the current folder are relative to it. A result has the frames of the suspension
    twice: as a stack, and as a code flow, which more viewers show.

    Example:
        >>> from withal.audit.report.record import AuditRecord, Verdict
        >>> record = AuditRecord(scenario="pool", target=None, verdict=Verdict.SAFE)
        >>> log = json.loads(render(record))
        >>> log["version"], log["runs"][0]["results"]
        ('2.1.0', [])
    """
    places = Places()
    driver = {"name": "withal audit", "rules": [_rule(each) for each in WORST_FIRST]}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"withal audit/{printable(record.scenario)}"},
        "invocations": [_invocation(record)],
        "originalUriBaseIds": {_ROOT: {"uri": f"{Path.cwd().as_uri()}/"}},
        "results": [_result(record, each, places) for each in (*record.findings, *record.excused)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(category: Category) -> _Object:
    return {
        "id": _id(category),
        "name": "".join(map(str.capitalize, _id(category).split("-"))),
        "shortDescription": _message(category),
        "fullDescription": _message(words.MEANING[category]),
        "defaultConfiguration": {"level": "error"},
    }


def _id(category: Category) -> str:
    return category.replace(" ", "-")


def _invocation(record: AuditRecord) -> _Object:
    """Return the result of the audit as a whole, without the results for single lines."""
    lines = [words.headline(record), *words.printable_lines(record.reason)]
    lines += [
        f"{words.counted(len(attempts), 'attempt')} had no result: {reason}"
        for reason, attempts in words.reasons(record).items()
    ]
    lines += [f"left behind, but not a finding: {each}" for each in record.expected]
    level = "note" if record.verdict in (Verdict.SAFE, Verdict.UNSAFE) else "warning"
    return {
        "executionSuccessful": record.verdict is not Verdict.ERROR,
        "toolExecutionNotifications": [
            {"level": level, "message": _message(each)} for each in lines
        ],
    }


def _result(record: AuditRecord, finding: Finding, places: Places) -> _Object:
    how = f"{words.HOW[finding.delivery]}, at suspension {finding.suspension.ordinal}"
    replay = record.replay(finding.address)
    stack = [places.of(each) for each in finding.suspension.chain]
    result: _Object = {
        "ruleId": _id(finding.category),
        "ruleIndex": WORST_FIRST.index(finding.category),
        "level": "error",
        "message": _message(
            f"{finding.category}: {words.describe_finding(finding)} ({how}). Replay: {replay}"
        ),
        "locations": [_location(places.of(finding.suspension.site))],
        "stacks": [
            {
                "message": _message(f"where it is {how}"),
                "frames": [{"location": _location(each)} for each in reversed(stack)],
            }
        ],
        "codeFlows": [{"threadFlows": [{"locations": _flow(stack)}]}] if stack else [],
        "properties": {
            "address": finding.address,
            "delivery": finding.delivery,
            "task": finding.suspension.task,
            "awaited": finding.suspension.awaited,
            "detail": finding.detail,
            "seen": finding.seen,
            "runs": finding.runs,
        },
        "partialFingerprints": {"withalKey/v1": finding.key},
    }
    if finding.excuse:
        result["suppressions"] = [{"kind": "external", "justification": printable(finding.excuse)}]
    return result


def _flow(stack: list[Location]) -> list[_Object]:
    return [
        {"location": _location(place), "nestingLevel": level} for level, place in enumerate(stack)
    ]


def _location(place: Location) -> _Object:
    location: _Object = {"message": _message(place.source or str(place))}
    if place.function:
        name = printable(place.function)
        location["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "function"}]
    if os.path.isabs(place.file):  # else it is not a file, such as ``<string>``
        location["physicalLocation"] = {
            "artifactLocation": _artifact(place),
            "region": {"startLine": place.line},
        }
    return location


def _artifact(place: Location) -> _Object:
    below = place.file.removeprefix(os.path.join(os.getcwd(), ""))
    path = quote(below, errors="surrogateescape")
    if below == place.file:
        return {"uri": f"file://{path}"}
    return {"uri": path, "uriBaseId": _ROOT}


def _message(text: str) -> _Object:
    """Return a message with a plain text.

    Braces are placeholders in SARIF, so they are doubled. A bracket followed by a parenthesis would
    form a link, so a blank is inserted.
    """
    plain = printable(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")
    return {"text": plain}
