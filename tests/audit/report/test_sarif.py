"""The report as SARIF 2.1.0, which code hosts and editors show beside the lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.audit.records import ALL, FAILED, UNSAFE, attempt, record, site_in_file
from withal.audit.report.record import WORST_FIRST, AuditRecord, Category, Delivery, Suspension
from withal.audit.report.sarif import render


@pytest.fixture(autouse=True)
def in_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def run_of(told: AuditRecord) -> Any:
    log = json.loads(render(told))
    (run,) = log["runs"]
    return run


def told_at(file: str, evidence: str = "it runs") -> Any:
    """Return the only result of an audit that found a task at a site in a file."""
    where = Suspension(1, "scenario", (site_in_file(file),), "Future")
    wrong = attempt(1, Delivery.LATE, (Category.TASK, evidence), suspension=where)
    (result,) = run_of(record(wrong))["results"]
    return result


# The standard's schema, as far as it speaks of what is rendered: what each object may hold, and
# what it must. "Required" are those that the schema or the text of the standard demands.
REQUIRED = {
    "log": {"version", "runs"},
    "run": {"tool"},
    "driver": {"name"},
    "rule": {"id"},
    "result": {"message", "ruleId"},
    "invocation": {"executionSuccessful"},
    "notification": {"message"},
    "codeFlow": {"threadFlows"},
    "threadFlow": {"locations"},
    "stack": {"frames"},
    "message": {"text"},
    "physicalLocation": {"artifactLocation"},
}
ALLOWED = {
    "log": {"$schema", "version", "runs"},
    "run": {"tool", "automationDetails", "invocations", "originalUriBaseIds", "results"},
    "driver": {"name", "rules"},
    "rule": {"id", "name", "shortDescription", "fullDescription", "defaultConfiguration"},
    "result": {
        "ruleId",
        "ruleIndex",
        "level",
        "message",
        "locations",
        "stacks",
        "codeFlows",
        "properties",
        "partialFingerprints",
        "suppressions",
    },
    "suppression": {"kind", "justification"},
    "invocation": {"executionSuccessful", "toolExecutionNotifications"},
    "notification": {"level", "message"},
    "codeFlow": {"threadFlows"},
    "threadFlow": {"locations"},
    "threadFlowLocation": {"location", "nestingLevel"},
    "stack": {"message", "frames"},
    "frame": {"location"},
    "location": {"physicalLocation", "logicalLocations", "message"},
    "physicalLocation": {"artifactLocation", "region"},
    "artifactLocation": {"uri", "uriBaseId"},
    "region": {"startLine"},
    "message": {"text"},
}


def has_shape(value: Any, kind: str) -> Any:
    assert isinstance(value, dict), kind
    assert REQUIRED.get(kind, set()) <= set(value) <= ALLOWED[kind], kind
    return value


def check_message(value: Any) -> None:
    text = has_shape(value, "message")["text"]
    assert isinstance(text, str)
    assert text
    singles = text.replace("{{", "").replace("}}", "")
    assert "{" not in singles
    assert "}" not in singles


def check_location(value: Any, bases: set[str]) -> None:
    has_shape(value, "location")
    check_message(value["message"])
    if "physicalLocation" in value:
        physical = has_shape(value["physicalLocation"], "physicalLocation")
        artifact = has_shape(physical["artifactLocation"], "artifactLocation")
        assert artifact.get("uriBaseId", "SRCROOT") in bases
        assert bool(urlsplit(artifact["uri"]).scheme) != ("uriBaseId" in artifact)
        assert artifact["uri"].isascii()
        assert has_shape(physical["region"], "region")["startLine"] >= 1


def check_result(value: Any, rules: list[str], bases: set[str]) -> None:
    has_shape(value, "result")
    assert rules[value["ruleIndex"]] == value["ruleId"]
    assert value["level"] == "error"
    check_message(value["message"])
    assert len(value["locations"]) == 1
    check_location(value["locations"][0], bases)
    for stack in value["stacks"]:
        check_message(has_shape(stack, "stack")["message"])
        for frame in stack["frames"]:
            check_location(has_shape(frame, "frame")["location"], bases)
    for flow in value["codeFlows"]:
        (thread,) = has_shape(flow, "codeFlow")["threadFlows"]
        assert has_shape(thread, "threadFlow")["locations"]
        for step in thread["locations"]:
            check_location(has_shape(step, "threadFlowLocation")["location"], bases)


@pytest.mark.parametrize("name", ALL)
def test_the_log_is_as_the_standard_demands(name: str) -> None:
    log = has_shape(json.loads(render(ALL[name])), "log")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    has_shape(run, "run")
    rules = [
        has_shape(each, "rule") for each in has_shape(run["tool"]["driver"], "driver")["rules"]
    ]
    for rule in rules:
        check_message(rule["shortDescription"])
        check_message(rule["fullDescription"])
    for base in run["originalUriBaseIds"].values():
        assert base["uri"].endswith("/")
    for invocation in run["invocations"]:
        for each in has_shape(invocation, "invocation")["toolExecutionNotifications"]:
            check_message(has_shape(each, "notification")["message"])
    for result in run["results"]:
        check_result(result, [rule["id"] for rule in rules], set(run["originalUriBaseIds"]))


def test_each_category_is_a_rule_the_worst_first() -> None:
    rules = [each["id"] for each in run_of(UNSAFE)["tool"]["driver"]["rules"]]
    assert rules == [category.replace(" ", "-") for category in WORST_FIRST]


def test_each_finding_is_a_result_at_its_line() -> None:
    results = run_of(UNSAFE)["results"]
    assert len(results) == len(UNSAFE.findings)
    (location,) = results[0]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "tests/audit/waiting.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 22},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "connect", "kind": "function"}]
    assert location["message"] == {"text": "await turn()"}


def test_relative_addresses_lead_to_the_files(root: Path) -> None:
    run = run_of(UNSAFE)
    base = run["originalUriBaseIds"]["SRCROOT"]["uri"]
    path = unquote(urlsplit(base).path) + "tests/audit/waiting.py"
    assert Path(path) == root / "tests/audit/waiting.py"


def test_a_message_states_what_how_and_the_command_that_replays_it() -> None:
    first = run_of(UNSAFE)["results"][0]
    key = first["partialFingerprints"]["withalKey/v1"]
    assert first["message"]["text"] == (
        f"descriptor: descriptor 7 is still open [{key}] (cancelled when the awaited result has"
        " just arrived, which is then dropped, at suspension 1)."
        " Replay: withal audit waiting.py:use_pool --at 1:late"
    )
    assert first["properties"]["detail"] == "more of it\n  about descriptor 7 is still open"


def test_the_stack_has_the_innermost_frame_first_and_the_flow_has_it_last() -> None:
    first = run_of(UNSAFE)["results"][0]
    stack = [frame["location"]["message"]["text"] for frame in first["stacks"][0]["frames"]]
    (thread,) = first["codeFlows"][0]["threadFlows"]
    flow = [step["location"]["message"]["text"] for step in thread["locations"]]
    assert stack == ["await turn()", 'await connect("primary")', "async with Pool():"]
    assert flow == stack[::-1]


def test_what_has_no_line_is_reported_with_the_run() -> None:
    (invocation,) = run_of(UNSAFE)["invocations"]
    assert invocation["executionSuccessful"]
    assert [each["message"]["text"] for each in invocation["toolExecutionNotifications"]] == [
        "unsafe: use_pool: 4 of 8 attempts went wrong"
        " (5 suspensions; early, late; asyncio, CPython 3.11.2)",
        "2 attempts had no result: the loop did not become idle within 5 s",
        "left behind, but not a finding: the cache's thread: it lives as long as the process",
    ]


def test_a_scenario_that_fails_by_itself_makes_the_run_a_failure() -> None:
    (invocation,) = run_of(FAILED)["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][1] == {
        "level": "warning",
        "message": {"text": "RuntimeError: no such host"},
    }


@pytest.mark.parametrize("name", ["a b#c?d%41.py", "naïve.py", "bad\udcff.py", "x:y.py"])
def test_any_name_of_a_file_makes_an_address_that_leads_to_it(name: str) -> None:
    physical = told_at(f"/srv/{name}")["locations"][0]["physicalLocation"]
    path = urlsplit(physical["artifactLocation"]["uri"]).path
    assert unquote(path, errors="surrogateescape") == f"/srv/{name}"
    below = told_at(os.path.join(os.getcwd(), name))["locations"][0]["physicalLocation"]
    assert unquote(below["artifactLocation"]["uri"], errors="surrogateescape") == name


def test_code_without_a_file_has_a_logical_location_only() -> None:
    (location,) = told_at("<string>")["locations"]
    assert "physicalLocation" not in location
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "use_pool"


def test_nothing_that_was_seen_becomes_a_placeholder_or_a_link() -> None:
    text = told_at("/x.py", "{0} [here](http://host.example) {}")["message"]["text"]
    assert text.startswith("task: {{0}} [here] (http://host.example) {{}} [")
