"""The choices of options, which are listed again since their modules take long to import."""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum

import pytest

from withal.audit import Delivery
from withal.audit.report.record import DEFAULT_TIMEOUT_SECONDS
from withal.cli.choices import AUDIT_TIMEOUT_SECONDS, Deliveries, Existing, Layouts, Transports
from withal.fetch import Layout, OnExists, TransportName


@pytest.mark.parametrize(
    ("listed", "real"),
    [
        (Deliveries, Delivery),
        (Existing, OnExists),
        (Layouts, Layout),
        (Transports, TransportName),
    ],
)
def test_the_choices_are_those_of_the_api(listed: type[StrEnum], real: type[StrEnum]) -> None:
    assert {each.name: each.value for each in listed} == {each.name: each.value for each in real}


def test_the_timeout_is_that_of_the_api() -> None:
    assert AUDIT_TIMEOUT_SECONDS == DEFAULT_TIMEOUT_SECONDS


def test_the_help_of_one_command_imports_nothing_that_it_does_not_need() -> None:
    program = "import sys, withal.cli.app; print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[2] for name in process.stdout.split() if "withal." in name}
    assert not {"audit", "fetch", "http", "tracking"} & {name.split(".")[0] for name in loaded}
    assert not {"aiohttp", "rich.progress"} & set(process.stdout.split())
