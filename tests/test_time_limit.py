"""A test that ignores its time limit does not stop the test run for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

IGNORES_ITS_LIMIT = """
    import time
    import pytest

    def wait():
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass

    @pytest.mark.timeout(3)
    def test_one():
        wait()
    """


@pytest.mark.slow
def test_the_process_ends_and_prints_where_the_test_is(
    pytester: pytest.Pytester, root: Path
) -> None:
    conftest = (root / "tests" / "conftest.py").read_text()
    pytester.makeconftest(f"{conftest}\nGRACE_SECONDS = 0.5\n")
    pytester.makepyfile(IGNORES_ITS_LIMIT)
    done = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:anyio", timeout=60)
    assert done.ret == 1
    done.stderr.fnmatch_lines(["Timeout (0:00:03*)!", "*in wait", "*in test_one"])
