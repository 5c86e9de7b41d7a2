"""A report as JUnit XML, for servers of continuous integration: a test case for each attempt."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from withal._core.printable import printable
from withal.audit.report import messages as words
from withal.audit.report.locations import Places
from withal.audit.report.outline import worst_first
from withal.audit.report.record import Attempt, AuditRecord, Verdict


def render(record: AuditRecord) -> str:
    """Return a suite of one test case for each attempt.

    An attempt with findings is a failure; an unresolved one is skipped. A verdict that does not
    come from an attempt, as for a scenario that fails without a cancellation, is a separate case.
    Characters that XML does not allow are escaped.

    Example:
        >>> from withal.audit.report.record import AuditRecord, Verdict
        >>> print(render(AuditRecord(scenario="pool", target=None, verdict=Verdict.SAFE)), end="")
        <?xml version="1.0" encoding="utf-8"?>
        <testsuites>
          <testsuite name="pool" tests="0" failures="0" errors="0" skipped="0" time="0.000" />
        </testsuites>
    """
    places = Places()
    cases = [*_whole(record), *(_case(record, each, places) for each in record.attempts)]
    root = Element("testsuites")
    suite = SubElement(
        root,
        "testsuite",
        name=printable(record.scenario),
        tests=str(len(cases)),
        failures=str(_having("failure", cases)),
        errors=str(_having("error", cases)),
        skipped=str(_having("skipped", cases)),
        time=f"{record.seconds:.3f}",
    )
    suite.extend(cases)
    indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}\n'


def _whole(record: AuditRecord) -> Iterator[Element]:
    """Yield a case for the audit as a whole, if it has a result of its own."""
    if record.verdict is Verdict.ERROR:
        case = _named(record, "without any cancellation")
        _add(case, "error", words.summary(record), record.reason)
        yield case
    elif record.reason or (record.verdict is Verdict.UNRESOLVED and not words.reasons(record)):
        case = _named(record, "as a whole")
        _add(case, "skipped", words.headline(record), record.reason)
        yield case


def _case(record: AuditRecord, attempt: Attempt, places: Places) -> Element:
    case = _named(record, f"{attempt.address} {places.of(attempt.suspension.site)}")
    if attempt.findings:
        worst = worst_first(attempt.findings)
        body = [
            f"{each.category}: {printable(words.describe_finding(each))}\n{each.detail}"
            for each in worst
        ]
        body.append(f"replay: {record.replay(attempt.address)}")
        message = f"{worst[0].category}: {worst[0].evidence}"
        failure = _add(case, "failure", message, "\n".join(body))
        failure.set("type", worst[0].category)
    elif attempt.unresolved:
        _add(case, "skipped", attempt.unresolved, "")
    if attempt.excused:
        out = SubElement(case, "system-out")
        lines = (
            f"{each.category}: {words.describe_finding(each)}: {each.excuse}"
            for each in attempt.excused
        )
        out.text = "\n".join(map(printable, lines))
    return case


def _named(record: AuditRecord, name: str) -> Element:
    return Element("testcase", classname=printable(record.scenario), name=printable(name))


def _add(case: Element, kind: str, message: str, body: str) -> Element:
    # XML allows all printable characters.
    element = SubElement(case, kind, message=printable(message))
    element.text = "\n".join(words.printable_lines(body))
    return element


def _having(kind: str, cases: list[Element]) -> int:
    return sum(1 for case in cases if case.find(kind) is not None)
