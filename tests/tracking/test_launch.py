"""A tracked program runs as ``python`` would run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest

from withal.cli.track import options_of, problem_of
from withal.tracking.options import TrackOptions

COMMAND = [sys.executable, "-m", "withal", "track"]


def run(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        check=False,
    )


def plain(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        check=False,
    )


PROGRAMS = {
    "arguments": "import sys; print(sys.argv, __name__, __file__, sys.path[0])",
    "input": "import sys; print(sys.stdin.read().upper())",
    "status": "raise SystemExit(7)",
    "text": "raise SystemExit('gone')",
    "error": "def f(): open('/nowhere/x')\nf()",
    "inner_error": """
        import asyncio
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def manager():
            yield

        async def main():
            async with manager():
                await asyncio.open_connection("127.0.0.1", 1)
        asyncio.run(main())
        """,
    "no_manager": "with 3 as x:\n    pass",
    "does_not_parse": "def f(:\n",
    "interrupted": "raise KeyboardInterrupt",
    "forks": """
        import os, sys
        with open(__file__) as file:
            child = os.fork()
            if not child:
                sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
    "excepthook": "import sys\nsys.excepthook = lambda *e: print('hook', e[0])\n1 / 0",
    "at_exit": "import atexit\natexit.register(print, 'last')\nprint('first')",
    "file_shown": "print(open(__file__, 'rb', 0), open(__file__), open(__file__, 'rb').raw)",
    "exits_at_once": "import os; print('out', flush=True); os._exit(4)",
    "main_is_found": "import sys; x = 1; print(sys.modules['__main__'].x)",
    "closed_output": "import sys; sys.stdout.close()",
    "globals": "print(sorted(globals()), sorted(vars(__builtins__))[:3])",
    "source": """
        import inspect
        def f():
            with open(__file__) as file:
                return file.readline()
        print(inspect.getsource(f), inspect.signature(open))
        """,
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_it_behaves_as_without(name: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(dedent(PROGRAMS[name]))
    arguments = ["program.py", "-x", "--json", "1"]
    with_track = run(tmp_path, "-q", *arguments, stdin="text")
    without = plain(tmp_path, *arguments, stdin="text")
    assert with_track.stdout == without.stdout
    assert with_track.stderr == without.stderr
    assert with_track.returncode == without.returncode


def test_a_module_of_a_package_runs_as_by_m(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("def opens():\n    return open(__file__)\n")
    (package / "__main__.py").write_text(
        "import sys\nfrom package.helper import opens\n"
        "print(sys.argv[1:], __package__, __spec__.name)\nkept = opens()\n"
    )
    report = tmp_path / "report.json"
    done = run(tmp_path, "-q", "--json", str(report), "-m", "package", "a", "-b")
    assert done.stdout == plain(tmp_path, "-m", "package", "a", "-b").stdout
    leaks = json.loads(report.read_text())["leaks"]
    assert [leak["site"] for leak in leaks] == ["package/helper.py:2"]
    assert leaks[0]["function"] == "opens"
    assert leaks[0]["stack"][1].startswith("package/__main__.py:4")


SHOWS_ITSELF = """
import sys
shown = sys.argv, sys.path[0], __name__, __file__, __package__, sorted(globals())
print(shown, getattr(__spec__, "name", None), sys.stdin.read())
"""
RAISES = "def f():\n    1 / 0\n\n\nf()\n"
HOLDS = "with manager() as x:\n    kept = open('/dev/null')\n"
DEFINES = "from contextlib import contextmanager\n@contextmanager\ndef manager():\n    yield\n"


@pytest.mark.parametrize("source", [SHOWS_ITSELF, RAISES, "def f(:\n", "exit(4)\n"])
def test_a_script_on_standard_input_behaves_as_without(source: str, tmp_path: Path) -> None:
    with_track = run(tmp_path, "-q", "-", "a", "-b", stdin=source)
    without = plain(tmp_path, "-", "a", "-b", stdin=source)
    assert (with_track.stdout, with_track.stderr) == (without.stdout, without.stderr)
    assert with_track.returncode == without.returncode


def test_a_leak_of_a_script_on_standard_input_is_named_at_its_line(tmp_path: Path) -> None:
    done = run(tmp_path, "--fail-on-leak", "-", stdin=DEFINES + HOLDS)
    assert "<stdin>:6" in done.stderr
    assert "manager" in done.stderr
    assert done.returncode == 3


@pytest.mark.parametrize("name", ["folder", "./folder", "program.zip"])
def test_a_folder_or_an_archive_behaves_as_without(name: str, tmp_path: Path) -> None:
    files = {
        "__main__.py": f"import helper\n{SHOWS_ITSELF}\nhelper.f()\n",
        "helper.py": RAISES[:-5],
    }
    make_container(tmp_path / name, files)
    with_track = run(tmp_path, "-q", name, "a", "-b", stdin="text")
    without = plain(tmp_path, name, "a", "-b", stdin="text")
    assert (with_track.stdout, with_track.stderr) == (without.stdout, without.stderr)
    assert with_track.returncode == without.returncode == 1


@pytest.mark.parametrize("name", ["folder", "program.zip"])
def test_a_leak_of_a_folder_or_an_archive_is_named_at_its_line(name: str, tmp_path: Path) -> None:
    main = f"from helper import manager\n{HOLDS}"
    make_container(tmp_path / name, {"__main__.py": main, "helper.py": DEFINES})
    done = run(tmp_path, "--fail-on-leak", name)
    assert "__main__.py:3" in done.stderr
    assert "manager  " in done.stderr  # its with statement is followed
    assert done.returncode == 3


def make_container(path: Path, files: dict[str, str]) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)


LEAKY = "kept = open(__file__)\n"


def test_the_report_follows_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print('out')\n" + LEAKY)
    done = run(tmp_path, "program.py")
    assert done.stdout == "out\n"
    assert "program.py:2" in done.stderr
    assert "file TextIOWrapper: never closed" in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("source", "status"),
    [(LEAKY, 3), ("pass", 0), (LEAKY + "raise SystemExit(5)", 5), (LEAKY + "1 / 0", 1)],
)
def test_fail_on_leak_exits_with_3_if_the_program_was_well(
    source: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(source)
    assert run(tmp_path, "--fail-on-leak", "program.py").returncode == status


def test_a_class_of_leaks_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LEAKY)
    done = run(tmp_path, "--fail-on-leak", "--ignore", "never closed", "program.py")
    assert done.returncode == 0
    assert "No leaks." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py"], "there is no script nowhere.py"),
        (["."], "use -m"),
        (["empty.zip"], "empty.zip has no __main__.py"),
        (["-m", "no.module"], "no module named 'no.module'"),
        (["--json", "/nowhere/x.json", "program.py"], "there is no folder /nowhere"),
        (["--ignore", "other", "program.py"], "is not a class of leaks; use"),
        (["--held", "0", "program.py"], "--held"),
        (["--held", "soon", "program.py"], "--held"),
        (["--no-such", "program.py"], "--no-such"),
        (["-q"], "missing"),
    ],
)
def test_what_is_wrong_is_said_before_the_program_starts(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text("print('started')")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "started" not in done.stdout


def test_a_report_is_written_to_a_pipe_or_a_device_and_does_not_take_its_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "program.py").write_text("print('out', flush=True)\n" + LEAKY)
    link = tmp_path / "link"  # never a device of this machine, which a failure would replace
    link.symlink_to("/dev/stdout")
    done = run(tmp_path, "-q", "--json", str(link), "program.py")
    first, _, report = done.stdout.partition("\n")
    assert (first, done.stderr) == ("out", "")
    assert json.loads(report)["leaks"][0]["site"] == "program.py:2"
    assert link.is_symlink()


def test_a_report_is_written_to_what_a_link_names(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LEAKY)
    link, report = tmp_path / "link", tmp_path / "report.json"
    report.write_text("old")
    link.symlink_to(report)
    run(tmp_path, "-q", "--json", str(link), "program.py")
    assert link.is_symlink()
    assert json.loads(report.read_text())["complete"]


def test_a_report_in_a_folder_that_is_not_writable_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text("")
    report = tmp_path / "report.json"
    report.write_text("old")
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    options = TrackOptions(str(tmp_path / "program.py"), json=str(report))
    assert f"folder {tmp_path} is not writable" in problem_of(options)


def test_an_executor_is_followed_in_a_folder_named_asyncio(tmp_path: Path) -> None:
    folder = tmp_path / "asyncio_server"
    folder.mkdir()
    (folder / "program.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\nkept = ThreadPoolExecutor()\n"
    )
    done = run(tmp_path, "--fail-on-leak", "asyncio_server/program.py")
    assert "program.py:2" in done.stderr
    assert done.returncode == 3


@pytest.mark.parametrize(
    "flags", [("-W", "always"), ("-X", "dev"), ("-X", "warn_default_encoding")]
)
def test_a_warning_about_a_file_names_the_line_of_the_program(
    flags: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(
        "open(__file__)\nopen(__file__, 'rb')\nopen(__file__, 'rb', 0)\nkept = open(__file__)\n"
    )
    without = plain(tmp_path, *flags, "program.py")
    assert "Warning" in without.stderr
    options = TrackOptions("program.py", quiet=True).dumped()
    done = plain(tmp_path, *flags, "-m", "withal.tracking", options)
    assert done.stderr == without.stderr


@pytest.mark.slow
def test_the_interim_report_opens_nothing_in_the_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, time\n"
        "seen = set()\n"
        "until = time.monotonic() + 2.5\n"
        "while time.monotonic() < until:\n"
        "    seen.add(tuple(os.listdir('/proc/self/fd')))\n"
        "print(len(seen))\n"
        "try:\n"
        "    os.waitpid(-1, 0)\n"
        "except ChildProcessError:\n"
        "    print('no child')\n"
    )
    report = tmp_path / "report.json"
    done = run(tmp_path, "-q", "--json", str(report), "program.py")
    assert done.stdout == "1\nno child\n"
    assert json.loads(report.read_text())["complete"]


@pytest.mark.slow
def test_a_program_may_close_all_its_descriptors(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, time\n"
        "os.closerange(3, 1000)\n"
        "for _ in range(300):\n"
        "    os.open('file', os.O_RDWR | os.O_CREAT)\n"
        "time.sleep(1.5)\n"
        "print(os.stat('file').st_size)\n"
        "os.closerange(3, 1000)\n"
    )
    report = tmp_path / "report.json"
    done = run(tmp_path, "-q", "--json", str(report), "program.py")
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert json.loads(report.read_text())["complete"]


WAITS = """
import asyncio

async def main():
    kept = open(__file__)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
def test_what_was_known_before_a_kill_is_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WAITS)
    report = tmp_path / "report.json"
    command = [*COMMAND, "--json", str(report), "program.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            until = time.monotonic() + 50
            while not report.exists() and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            process.kill()
    data = json.loads(report.read_text())
    assert not data["complete"]
    assert "program.py:5" in [leak["site"] for leak in data["leaks"]]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_what_it_does_without(number: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WAITS)

    def status(command: list[str]) -> int:
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A shell ignores SIGINT for what it runs in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            os.kill(process.pid, number)
            try:
                return process.wait(60)
            finally:
                process.kill()

    assert status([*COMMAND, "program.py"]) == status([sys.executable, "program.py"])


@pytest.mark.slow
def test_what_is_held_for_long_is_named_while_the_program_runs(tmp_path: Path) -> None:
    source = "import time\nkept = open(__file__)\ntime.sleep(0.5)\nkept.close()\n"
    (tmp_path / "program.py").write_text(source)
    done = run(tmp_path, "--held", "0.1", "program.py")
    assert (
        "file TextIOWrapper has been open for more than 0.1 s, opened at program.py:2"
        in done.stderr
    )
    assert done.stderr.count("has been open for more") == 1


@pytest.mark.slow
def test_the_line_that_holds_the_loop_is_named(tmp_path: Path) -> None:
    source = dedent("""
        import asyncio, time

        async def main():
            await asyncio.sleep(0.2)
            time.sleep(0.6)
            await asyncio.sleep(0.1)

        asyncio.run(main())
        """)
    (tmp_path / "program.py").write_text(source)
    done = run(tmp_path, "--stall", "0.1", "program.py")
    assert "blocked for more than 0.1 s, at program.py:6 in main" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["a.py", "-q"], TrackOptions("a.py", arguments=("-q",))),
        (["-m", "a", "b"], TrackOptions("a", is_module=True, arguments=("b",))),
        (["-q", "--also=x", "--also", "y", "a"], TrackOptions("a", quiet=True, also=("x", "y"))),
        (["--held", "2", "--", "-a.py"], TrackOptions("-a.py", held=2.0)),
        (["-h"], None),
        ([], None),
        (["--held", "-1", "a.py"], None),
        (["--keep", "x", "a.py"], None),
    ],
)  # fmt: skip
def test_plain_arguments_need_no_library(
    arguments: list[str], options: TrackOptions | None
) -> None:
    assert options_of(arguments) == options
