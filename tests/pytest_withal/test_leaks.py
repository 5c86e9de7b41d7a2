"""The option ``--withal-leaks``, in a pytest of its own."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.slow  # each starts an interpreter

FILES = """
    import pytest

    def test_it_drops_a_file():
        open(__file__)

    kept = []

    def opens():
        kept.append(open(__file__))

    def test_it_keeps_a_file():
        opens()

    def test_it_closes_a_file():
        with open(__file__):
            pass

    def test_it_fails():
        file = open(__file__)
        assert not file

    @pytest.mark.skip
    def test_it_is_skipped():
        open(__file__)
"""


def run(pytester: pytest.Pytester, source: str, *args: str) -> pytest.RunResult:
    pytester.makepyfile(test_it=source)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--withal-leaks", *args)


def test_a_test_fails_for_what_it_has_opened_and_dropped(pytester: pytest.Pytester) -> None:
    result = run(pytester, FILES)
    result.assert_outcomes(failed=2, passed=2, errors=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_it_keeps_a_file*",
            "this test and its fixtures leaked at test_it.py:9: file TextIOWrapper, never closed",
            "  test_it.py:9, in opens",
            "    called from test_it.py:12 in test_it_keeps_a_file",
            "*test_it_drops_a_file*",
            "this test leaked at test_it.py:4: * closed by the garbage collector",
        ]
    )
    result.stdout.no_fnmatch_line("*called from _pytest*")


def test_without_the_option_it_does_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it():\n    open(__file__)\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


FIXTURES = """
    import pytest

    class Client:
        file = None

        def use(self):
            self.file = self.file or open(__file__)

    @pytest.fixture
    def not_closed():
        yield open(__file__)

    @pytest.fixture
    def closes():
        opened = []
        yield lambda: opened.append(open(__file__))
        for each in opened:
            each.close()

    @pytest.fixture(scope="session")
    def server():
        with open(__file__) as file:
            yield file

    @pytest.fixture(scope="module")
    def client():
        client = Client()
        yield client
        client.file.close()

    @pytest.fixture(scope="class")
    def careless():
        yield Client()

    def test_of_a_fixture_that_does_not_close(not_closed):
        pass

    def test_of_one_that_closes(closes, server):
        closes()

    def test_that_has_a_lasting_fixture_open_something(client):
        client.use()

    def test_that_uses_it_again(client, server):
        client.use()

    class TestOfACarelessFixture:
        def test_first(self, careless):
            careless.use()

        def test_last(self, careless):
            pass
"""


def test_what_fixtures_open_is_judged_when_they_are_over(pytester: pytest.Pytester) -> None:
    result = run(pytester, FIXTURES)
    result.assert_outcomes(passed=6, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_of_a_fixture_that_does_not_close*",
            "this test and its fixtures leaked at test_it.py:11: *",
            "*ERROR at teardown of TestOfACarelessFixture.test_last*",
            "the class-scoped fixture 'careless' leaked at test_it.py:7: *",
        ]
    )


ASYNC = """
    import asyncio
    import pytest

    {mark}
    async def test_it_leaves_a_task():
        asyncio.create_task(asyncio.sleep(100))
        await asyncio.sleep(0)

    {mark}
    async def test_it_drops_a_writer(server):
        reader, writer = await asyncio.open_connection(*server)

    {mark}
    async def test_it_is_clean(server):
        reader, writer = await asyncio.open_connection(*server)
        task = asyncio.create_task(reader.read())
        writer.close()
        await asyncio.gather(task, writer.wait_closed())
        process = await asyncio.create_subprocess_exec("true")
        await process.wait()
        await asyncio.to_thread(print)

    {fixture}
    async def server():
        async def serve(reader, writer):
            await reader.read()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()
"""
ASYNCIO = {
    "mark": "@pytest.mark.asyncio",
    "fixture": "import pytest_asyncio\n    @pytest_asyncio.fixture",
}
ANYIO = {"mark": "@pytest.mark.anyio", "fixture": "@pytest.fixture"}
BACKEND = """
    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"
"""


@pytest.mark.parametrize("plugin", ["asyncio", "anyio", "anyio that keeps its loop"])
def test_it_judges_the_tests_of(plugin: str, pytester: pytest.Pytester) -> None:
    source = ASYNC.format(**(ASYNCIO if plugin == "asyncio" else ANYIO))
    if plugin != "asyncio":
        source += BACKEND
    if plugin == "anyio that keeps its loop":
        source = source.replace("@pytest.fixture\n", "@pytest.fixture(scope='module')\n")
    result = run(pytester, source, "-p", "no:unraisableexception")
    result.stdout.fnmatch_lines_random(
        ["*test_it.py:6: task sleep, *", "*test_it.py:11: stream writer StreamWriter, *"]
    )
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 2
    result.stdout.no_fnmatch_line("*of test_it_is_clean*")


def test_it_judges_each_test_in_the_processes_of_xdist(pytester: pytest.Pytester) -> None:
    result = run(pytester, FILES, "-n", "2")
    result.assert_outcomes(failed=2, passed=2, errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*leaked at test_it.py:9: file TextIOWrapper, never closed"])


MARKED = """
    import asyncio
    import pytest

    @pytest.mark.withal_leaks_allowed
    def test_all():
        open(__file__)

    @pytest.mark.withal_leaks_allowed("file")
    def test_a_kind():
        open(__file__)

    @pytest.mark.withal_leaks_allowed("socket", "closed by the garbage collector")
    def test_a_class():
        open(__file__)

    @pytest.mark.withal_leaks_allowed("socket", "never closed")
    def test_another():
        open(__file__)
"""


def test_a_marker_allows_what_is_meant(pytester: pytest.Pytester) -> None:
    result = run(pytester, MARKED, "--strict-markers")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_another *"])


def test_a_setting_allows_it_for_all_tests(pytester: pytest.Pytester) -> None:
    result = run(pytester, FILES, "-o", "withal_leaks_allowed=file")
    result.assert_outcomes(passed=4 - 1, failed=1, skipped=1)


def test_what_a_task_of_a_lasting_fixture_opens_is_not_the_tests(
    pytester: pytest.Pytester,
) -> None:
    source = """
        import threading
        import pytest

        @pytest.fixture(scope="module")
        def server():
            wanted, opened, done = threading.Event(), threading.Event(), threading.Event()

            def serve():
                wanted.wait()
                with open(__file__):
                    opened.set()
                    done.wait()

            thread = threading.Thread(target=serve)
            thread.start()
            yield wanted, opened
            done.set()
            thread.join()

        def test_first(server):
            pass

        def test_second(server):
            server[0].set()
            server[1].wait()
    """
    run(pytester, source).assert_outcomes(passed=2)


def test_a_thread_that_does_not_end_is_a_leak(pytester: pytest.Pytester) -> None:
    source = """
        import threading

        done = threading.Event()

        def test_first():
            threading.Thread(target=done.wait, daemon=True).start()

        def test_second():
            threading.Thread(target=lambda: None).start()
    """
    result = run(pytester, source)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*leaked at test_it.py:6: thread Thread, never closed"])


def test_what_is_tracked_already_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it():\n    pass\n")
    result = pytester.run(
        sys.executable, "-m", "withal", "track", "-q", "-m", "pytest", "--withal-leaks"
    )
    result.stderr.fnmatch_lines(["*--withal-leaks: this program is already tracked*"])
    assert result.ret == 4
