"""``pytest --audit``: asynchronous tests are audited, with their fixtures as the setup."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow  # each starts an interpreter

TOP = """
    import asyncio
    import os

    import pytest
    import pytest_asyncio

    class Pool:
        def __init__(self, size):
            self.slots = asyncio.Semaphore(size)

        async def use(self):
            await self.slots.acquire()
            await asyncio.sleep(0)
            self.slots.release()

        async def use_well(self):
            async with self.slots:
                await asyncio.sleep(0)
"""


def run(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(TOP + source)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--audit", "-rs", *options)


POOL = """
    @pytest.fixture
    def size():
        return 1

    @pytest_asyncio.fixture
    async def pool(size, tmp_path):
        assert tmp_path.is_dir()
        pool = Pool(size)
        await asyncio.sleep(0)
        yield pool
        assert not pool.slots.locked(), "a slot is lost"
"""


def test_a_test_that_loses_what_its_fixture_gave_fails_with_a_report(
    pytester: pytest.Pytester,
) -> None:
    source = """
    @pytest.mark.asyncio
    async def test_careless(pool):
        await pool.use()

    @pytest.mark.asyncio
    async def test_careful(pool):
        await pool.use_well()
"""
    result = run(pytester, POOL + source)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "unsafe: test_careless: 2 of 2 attempts went wrong *",
            "test_*.py:* in Pool.use (waits at asyncio/tasks.py:* in __sleep0)",
            "*a slot is lost*(3 of 3) [[]??????????[]]",
            "*replay: pytest *::test_careless --audit --audit-at 1:early",
        ]
    )


def test_the_command_for_a_replay_makes_that_attempt(pytester: pytest.Pytester) -> None:
    source = "\n    @pytest.mark.asyncio\n    async def test_it(pool):\n        await pool.use()\n"
    result = run(pytester, POOL + source, "--audit-at", "1:late")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["unsafe: test_it at 1:late *", "The scenario then ended: *"])


def test_fixtures_are_set_up_for_each_attempt_and_shared_ones_once(
    pytester: pytest.Pytester,
) -> None:
    source = """
    made = {"own": 0, "shared": 0}

    @pytest.fixture(scope="module")
    def shared():
        made["shared"] += 1
        yield made
        assert made["shared"] == 1
        assert made["own"] == 5, made  # three runs without a cancellation, and two attempts

    @pytest.fixture
    def own(shared):
        made["own"] += 1
        return shared

    @pytest.mark.asyncio
    async def test_it(own):
        assert own is made
        await asyncio.sleep(0)
"""
    run(pytester, source).assert_outcomes(passed=1)


def test_a_class_a_parameter_a_request_and_an_overridden_fixture_are_as_ever(
    pytester: pytest.Pytester,
) -> None:
    source = """
    @pytest.fixture(params=["a", "b"])
    def letter(request):
        request.addfinalizer(lambda: None)
        return request.param

    @pytest.fixture
    def number():
        return 1

    @pytest.mark.asyncio
    class TestIt:
        @pytest.fixture
        def number(self, number):
            self.own = number + 1
            return number + 1

        @pytest.mark.parametrize("given", [7, 8])
        async def test_it(self, letter, number, given, request, monkeypatch):
            monkeypatch.setenv("LETTER", letter)
            assert request.node.name.startswith("test_it[")
            assert (number, self.own) == (2, 2)
            assert given in (7, 8)
            await asyncio.sleep(0)
"""
    run(pytester, source).assert_outcomes(passed=4)


def test_anyios_tests_are_audited_on_asyncio(pytester: pytest.Pytester) -> None:
    source = """
    @pytest.fixture
    async def five():
        await asyncio.sleep(0)
        yield 5

    @pytest.mark.anyio
    async def test_it(five):
        await asyncio.sleep(0)
        assert five == 5

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
    async def test_both(anyio_backend):
        await asyncio.sleep(0)
"""
    result = run(pytester, source)
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] >= 2
    result.stdout.fnmatch_lines(["*not audited: its backend is trio; only asyncio can be audited"])


def test_what_cannot_be_audited_is_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    source = """
    @pytest_asyncio.fixture(scope="session", loop_scope="session")
    async def database():
        yield 1

    @pytest.mark.asyncio
    async def test_shared(database):
        await asyncio.sleep(0)

    @pytest.mark.asyncio
    async def test_at_once():
        pass

    def test_synchronous():
        pass
"""
    result = run(pytester, source)
    result.assert_outcomes(skipped=2, deselected=1)
    result.stdout.fnmatch_lines(
        ["*fixture 'database' is asynchronous and of scope 'session'*", "*it never suspends*"]
    )


def test_a_test_that_fails_anyhow_fails(pytester: pytest.Pytester) -> None:
    source = """
    @pytest.mark.asyncio
    async def test_it():
        await asyncio.sleep(0)
        assert 1 == 2
"""
    result = run(pytester, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["error: test_it: the scenario fails without any cancellation *"])


def test_a_test_has_its_time(pytester: pytest.Pytester) -> None:
    source = """
    @pytest.mark.asyncio
    async def test_it():
        for _ in range(100):
            await asyncio.sleep(0.05)
"""
    result = run(pytester, source, "--audit-max-time", "1")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*unresolved: stopped early, after 0 attempts: its time of 1 s*"])


SEVERAL = """
    @pytest.mark.asyncio
    @pytest.mark.parametrize("number", range(4))
    async def test_it(number):
        await asyncio.sleep(0)

    @pytest.mark.asyncio
    @pytest.mark.timeout(60)
    async def test_other():
        await asyncio.sleep(0)
"""


@pytest.mark.parametrize(
    ("options", "passed"), [(("-k", "test_it"), 4), (("-m", "timeout"), 1), (("-n", "2"), 5)]
)
def test_tests_are_selected_and_distributed_as_ever(
    pytester: pytest.Pytester, options: tuple[str, ...], passed: int
) -> None:
    result = run(pytester, SEVERAL, *options)
    assert result.parseoutcomes()["passed"] == passed


def test_known_findings_are_accepted(pytester: pytest.Pytester) -> None:
    source = "\n    @pytest.mark.asyncio\n    async def test_it(pool):\n        await pool.use()\n"
    result = run(pytester, POOL + source)
    key = result.stdout.str().partition("(3 of 3) [")[2][:10]
    pytester.path.joinpath("known").write_text(key)
    run(pytester, POOL + source, "--audit-accept", "known").assert_outcomes(passed=1)
    pytester.path.joinpath("known").write_text("nonsense")
    result = run(pytester, POOL + source, "--audit-accept", "known")
    result.stderr.fnmatch_lines(["*known:1: 'nonsense' is not the key of a finding*"])
