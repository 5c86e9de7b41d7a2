"""The plugin for pytest, in a pytest of its own: what users see who have installed withal."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # each starts an interpreter

CARELESS = """
    import asyncio

    class Careless:
        async def __aenter__(self):
            self.task = asyncio.create_task(asyncio.Event().wait())
            await asyncio.sleep(0)

        async def __aexit__(self, *_):
            self.task.cancel()
"""


def run(pytester: pytest.Pytester, source: str, *args: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)


def test_a_test_fails_with_the_report(pytester: pytest.Pytester) -> None:
    result = run(pytester, CARELESS + "\n    def test_it(audit):\n        audit(Careless)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "unsafe: Careless: 2 of * attempts *",
            "*1:early  task  *",
            "*replay: pytest *::test_it --audit-at 1:early",
        ]
    )


def test_the_command_for_a_replay_can_be_given_to_a_shell(pytester: pytest.Pytester) -> None:
    source = """
    import pytest

    @pytest.mark.parametrize("size", ["not large"])
    def test_it(audit, size):
        audit(Careless)
"""
    result = run(pytester, CARELESS + source)
    result.stdout.fnmatch_lines(["*replay: pytest '*::test_it[[]not large]' --audit-at 1:early"])


def test_a_test_of_what_is_safe_passes_and_gets_the_report(pytester: pytest.Pytester) -> None:
    source = """
        import asyncio

        def test_it(audit):
            report = audit(lambda: asyncio.Semaphore(1), probe=lambda: asyncio.sleep(0))
            assert len(report.attempts) == 2
    """
    run(pytester, source).assert_outcomes(passed=1)


def test_the_options_say_what_a_test_leaves_open(pytester: pytest.Pytester) -> None:
    source = """
        import asyncio

        async def rest():
            try:
                await asyncio.sleep(0)
            finally:
                await asyncio.sleep(0)

        def test_open(audit):
            report = audit(rest)
            assert report.depth == 2
            assert set(report.deliveries) == {"anyio", "timeout"}
            assert {attempt.address for attempt in report.attempts} >= {"1+1:timeout"}

        def test_said(audit):
            assert audit(rest, depth=1, deliveries=["early"]).depth == 1
    """
    options = "--audit-depth=2", "--audit-deliveries=anyio,timeout"
    run(pytester, source, *options).assert_outcomes(passed=2)


def test_one_attempt_is_replayed(pytester: pytest.Pytester) -> None:
    source = CARELESS + "\n    def test_it(audit):\n        audit(Careless)\n"
    result = run(pytester, source, "--audit-at=1:late")
    result.stdout.fnmatch_lines(["unsafe: Careless at 1:late*", "*await asyncio.sleep(0)*"])


def test_an_invalid_option_is_reported(pytester: pytest.Pytester) -> None:
    source = CARELESS + "\n    def test_it(audit):\n        audit(Careless)\n"
    result = run(pytester, source, "--audit-deliveries=soon")
    result.stdout.fnmatch_lines(
        ["*ValueError: unknown delivery 'soon'; choose from early, late, *"]
    )


def test_the_help_has_the_options(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--help")
    result.stdout.fnmatch_lines(["*--audit-depth=N*", "*--audit-deliveries=HOW,HOW*"])
    result = pytester.runpytest_subprocess("--fixtures", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["audit -- *"])


def test_it_imports_nothing_in_a_run_without_it() -> None:
    code = "import sys, pytest_withal; print('withal' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="CPython 3.15 waits for each thread")
def test_it_ends_although_a_test_has_left_a_thread_that_does_not(
    pytester: pytest.Pytester,
) -> None:
    source = """
        import asyncio
        import threading

        async def leave_a_thread():
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                threading.Thread(target=threading.Event().wait, name="stuck").start()
                raise

        def test_it(audit):
            audit(leave_a_thread)
    """
    pytester.makepyfile(source)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=30)
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    result.stderr.fnmatch_lines(["withal: the program ends * the thread 'stuck' and * more *"])
