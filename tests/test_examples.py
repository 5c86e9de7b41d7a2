"""Each example does what its docstring says, and leaves nothing open."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import postgres, redis

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))

# What each prints, as a pattern, a line a line. What comes in no certain order stands elsewhere.
PRINTS = {
    "compared": r"""
three resources, cancelled once, at each turn
  AsyncExitStack: something left open at 12 of 13 turns
  Scope: something left open at 0 of \d\d turns
cancelled again while they close
  AsyncExitStack: left open: c
  Scope: left open: none
two side by side \(with gather in the stack\), one of which refuses
  AsyncExitStack: left open: slow
  Scope: left open: none
two that fail to close
  AsyncExitStack: raised: first; as its context: (None|second)
  Scope: raised: second, first
one that does not end closing, which is given 0.02 s
  AsyncExitStack: still waiting after five times as long
  Scope: CloseTimeoutError
""",
    "count_under_a_lock": r"""
20 visitors without a lock: counted \d+
20 visitors under the lock: counted 20
without waiting: another task has the lock
a waiter that was cancelled has left the lock free: True
""",
    "declared": r"""
the plan:
application
├─ database
│  └─ settings
└─ cache
   └─ settings
the program:
  the cache is open
  the database is open
  application with database 'main' and cache 'local'
  what held it up: settings > database > application
  the application has stopped
  the (cache|database) is closed
  the (cache|database) is closed
a test:
  the cache is open
  application with a fake and cache 'local'
  the application has stopped
  the cache is closed
""",
    "enter_and_exit": r"""
a plain async with:
  enter db
  inside, with db
  exit db
a scope:
  enter db
  enter cache
  inside, with db and cache
  exit cache
  exit db
a scope whose body fails:
  enter db
  exit db, having seen ValueError\(.*\)
  raised: invalid literal for int\(\) with base 10: 'no number'
""",
    "fetch_a_page": r"""
200 text/html
<!doctype html><title>Served by the example</title>
the server has stopped
the response is closed: True
the session is closed: True
""",
    "filter_a_log": r"""
lines kept: 200 of 2000
the first: 00000 ERROR disk full
\d+ bytes read, by fewer than 10 calls for 2000 lines: True
\d+ bytes written, of which the disk was asked \d time\(s\)
while it failed: errors.log is not there
""",
    "graceful_close": r"""
a flush that ends within the deadline:
  flushing the journal
  stop! now!
  the journal is flushed
  the database is closed
  it was cancelled
a flush that does not:
  flushing the journal
  stop! now!
  the database is closed
  CloseTimeoutError: scope 'app': 'journal' had not closed within 0.05 s; .*
""",
    "held_by_an_object": r"""
closed from another task:
  answer: HELLO
  the request under way: the client was closed while the request was under way
  a request afterwards: the client is closed
closed by the loop:
  answer: ONE
  the generator has closed its client
""",
    "pool_postgres": r"""
asyncpg: \[1, 2, 3, 4, 5\]
  one was cut off; the next gets 42
psycopg: rolled back at the end of the use
  the next user finds it idle
sqlalchemy: ab
  connections open: 1
""",
    "pool_redis": r"""
cut off while it waited for an answer
the next gets its own: pear
closed since cut off: 1
""",
    "pool_sqlite": r"""
counted by ten: \[1, 1, 1, 1, 1, 1, 1, 1, 1, 1\]
after a use without commit: 1
connections opened: [123]
""",
    "pool_workers": r"""
PEAR APPLE PLUM
slow was cut off; the next gets ITS OWN
workers closed since they were cut off: 1
""",
    "reload_on_sighup": r"""
hello, says generation 1
good evening, says generation 2
not reloaded: JSONDecodeError
good evening, says generation 2
""",
    "request_scopes": r"""
0x10: 0x10 = 16, by connection [12]
a request failed: invalid literal for int\(\) with base 0: 'ten'
ten: no answer
0b11: 0b11 = 3, by connection [12]
stopped with one request under way:
app: open
├─ open_pool: open, opened in \d.\d{3} s
├─ count_beats \(task\): open, opened in \d.\d{3} s
├─ Server: open, opened in \d.\d{3} s
├─ answer \(task\): open, opened in \d.\d{3} s
└─ request: open
   ├─ close \(callback\): open, opened in \d.\d{3} s
   └─ connection: open, opened in \d.\d{3} s
the pool closes, with 2 of 2 connections free
stop: no answer
the heart has beaten: True
""",
    "side_by_side": r"""
all three answer:
(?:  (?:db|cache|queue) is open
){3}  in the order asked for: db cache queue
(?:  (?:db|cache|queue) is closed
){3}the queue refuses:
(?:  (?:db|cache) is (?:open|closed)
){2,4}  queue refuses; open now: 0
""",
    "who_opened_what": r"""
open now: app, db.*
app +scope +who_opened_what.py:30 +\d.\d{3} s
db +connection +who_opened_what.py:31 +\d.\d{3} s
ann +task +who_opened_what.py:32 +\d.\d{3} s
bob +task +who_opened_what.py:32 +\d.\d{3} s
(?:request +scope +who_opened_what.py:24 +\d.\d{3} s
connection of (?:ann|bob) +connection +who_opened_what.py:25 +\d.\d{3} s
){2}8 opened, 8 closed, 0 leaked
""",
    "write_a_file": r"""
while it is written: notes.txt
afterwards: notes.txt, report.txt
the report: all is well
failed: the source of the report has gone
afterwards: notes.txt
""",
}
NEEDS = {
    "fetch_a_page": ["aiohttp"],
    "pool_postgres": ["asyncpg", "psycopg", "sqlalchemy", "greenlet"],
    "pool_redis": ["redis"],
    "pool_sqlite": ["aiosqlite"],
    "reload_on_sighup": ["fastapi", "httpx"],
}

# Written by the loop's debug mode when another process has the processor for a while.
_SLOW = re.compile(r"^Executing .* took \d+\.\d+ seconds\n", re.MULTILINE)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """Run the servers that examples need, where they are installed; return where they are."""
    with ExitStack() as stack:
        found: dict[str, str] = {}
        if postgres.PROGRAM is not None:
            found["POSTGRES_DSN"] = stack.enter_context(postgres.postgres_server()).dsn()
        if redis.PROGRAM is not None:
            found["REDIS_URL"] = stack.enter_context(redis.redis_server()).url
        yield found


SERVERS = {
    "pool_postgres": ("POSTGRES_DSN", postgres.MISSING),
    "pool_redis": ("REDIS_URL", redis.MISSING),
}


@pytest.fixture
def environment(name: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment variables with an example's servers, or skip the test."""
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    if name not in SERVERS:
        return {}
    variable, missing = SERVERS[name]
    servers: dict[str, str] = request.getfixturevalue("servers")
    if variable not in servers:
        pytest.skip(missing)
    return {variable: servers[variable]}


def check_output(name: str, output: str) -> None:
    assert re.fullmatch(PRINTS[name].lstrip("\n"), output), output


def test_each_example_is_held_by_a_test() -> None:
    assert sorted(PRINTS) == NAMES


# Here, so that what an example leaves open, or warns of, fails the test.
@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_it_is_to_show(
    name: str,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    check_output(name, capsys.readouterr().out)


# As a reader runs it, and with the interpreter's own checks.
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_as_a_script_from_any_folder(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / f"{name}.py")],
        check=False,
        cwd=tmp_path,
        env=os.environ | environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, _SLOW.sub("", done.stderr)) == (0, "")
    check_output(name, done.stdout)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_what_it_shows(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert source.startswith('"""')
    assert '\nif __name__ == "__main__":\n' in source
