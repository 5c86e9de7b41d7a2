"""A real PostgreSQL of the machine's packages, on a free port of 127.0.0.1.

It refuses to run as root, so that root runs it as the user ``postgres``, which its package makes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from tests.servers.process import end, free_port, is_listening, wait_until_ready

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parts[-2])
_PATH = os.pathsep.join([*map(str, reversed(_FOLDERS)), os.environ.get("PATH", "")])
PROGRAM = shutil.which("postgres", path=_PATH)
BOUNCER = shutil.which("pgbouncer", path=f"{_PATH}{os.pathsep}/usr/sbin")
MISSING = "there is no PostgreSQL: apt-get install postgresql"
_SECONDS = 60.0  # that one of its commands may take
NO_BOUNCER = "there is no PgBouncer: apt-get install pgbouncer"


def _user() -> str | None:
    """Return the user to run it as; None for the one that runs the tests."""
    if os.getuid() != 0:
        return None
    return pwd.getpwnam("postgres").pw_name


def _own(folder: Path) -> None:
    user = _user()
    if user is not None:
        shutil.chown(folder, user)


@final
class Postgres:
    """A server that can be stopped, killed and started again, with its data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def dsn(self, user: str = "postgres", database: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Make its data, once."""
        assert PROGRAM is not None, MISSING
        initdb = str(Path(PROGRAM).with_name("initdb"))
        command = [initdb, "--no-sync", "--auth=trust", "--username=postgres"]
        command += ["--encoding=UTF8", "--locale=C", "-D", str(self._folder / "data")]
        subprocess.run(command, check=True, capture_output=True, user=_user(), timeout=_SECONDS)
        access = self._folder / "data" / "pg_hba.conf"
        by_password = "host all locked 127.0.0.1/32 scram-sha-256\n"  # all others are trusted
        access.write_text(by_password + access.read_text())

    def start(self) -> None:
        assert PROGRAM is not None, MISSING
        command = [PROGRAM, "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-k", str(self._folder)]
        path = self._folder / "postgres.log"
        with path.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=_user())
        wait_until_ready(self._process, self._answers, path)

    def _answers(self) -> bool:
        assert PROGRAM is not None
        ready = str(Path(PROGRAM).with_name("pg_isready"))
        command = [ready, "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "5"]
        return subprocess.run(command, check=False, timeout=_SECONDS).returncode == 0

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: by SIGINT in good order, by SIGQUIT as a crash does."""
        if self._process is not None:
            end(self._process, how)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        self.stop(how)
        self.start()

    def run(self, statements: str, database: str = "postgres") -> str:
        """Run SQL as the superuser, and return what it prints."""
        assert PROGRAM is not None
        psql = shutil.which("psql", path=_PATH)
        assert psql is not None
        command = [psql, "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database=database)]
        command += ["-c", statements]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
        return done.stdout.strip()


@contextmanager
def postgres_server() -> Generator[Postgres]:
    """Run a server in this block."""
    with tempfile.TemporaryDirectory(prefix="withal-postgres-") as folder:
        _own(Path(folder))
        server = Postgres(Path(folder))
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # without a checkpoint: the data is removed


@contextmanager
def pgbouncer(server: Postgres) -> Generator[str]:
    """Run PgBouncer before a server, in transaction mode; yield how to connect to it."""
    assert BOUNCER is not None, NO_BOUNCER
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="withal-pgbouncer-") as folder:
        _own(Path(folder))
        users = Path(folder) / "users.txt"
        users.write_text('"postgres" ""\n')
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\n"
            "default_pool_size = 3\n"
        )
        path = Path(folder) / "log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [BOUNCER, str(settings)], stdout=log, stderr=log, user=_user()
            )
        try:
            wait_until_ready(process, lambda: is_listening(port), path)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            end(process, signal.SIGTERM)
