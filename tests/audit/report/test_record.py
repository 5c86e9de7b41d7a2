"""The command that makes an attempt again can be pasted into a shell."""

from __future__ import annotations

import shlex

from tests.audit.records import record


def test_it_is_the_command_line_that_names_the_scenario_the_attempt_and_the_loop() -> None:
    assert record().replay("3:late") == "withal audit waiting.py:use_pool --at 3:late"
    assert record(loop="uvloop").replay("3:late").endswith(" --at 3:late --loop uvloop")


def test_without_a_target_it_is_a_call() -> None:
    assert record(target=None).replay("3:late") == 'audit(use_pool, ..., at="3:late")'


def test_a_shell_takes_a_path_for_one_word() -> None:
    target = "it's my folder; $(ls)/waiting.py:use_pool"
    words = shlex.split(record(target=target).replay("3:late"))
    assert words == ["withal", "audit", target, "--at", "3:late"]
