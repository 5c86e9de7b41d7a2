"""Measures fetching from nginx on the loopback interface, side by side, as ratios to a bare loop.

    python -m benchmarks.fetch [--rounds N] [--folder DIR] [--small]

For each peer it prints the best time, and the median of the processor time, which depends less on
what else the machine does.

The files of each round go to a folder of their own, which is not deleted before the end: on ext4
a deleted file's inode is not used again for some seconds, and looking for another takes longer
than all the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fetch.peers import Fetch, found

PORT = 18099
SMALL = 2000
_CONF = """
daemon off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000;
  client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
  uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
  server {{ listen 127.0.0.1:{port}; root {place}/www; }}
}}
"""
_PEERS = (
    "bare loop",
    "pycurl loop",
    "withal, aiohttp",
    "withal, curl",
    "withal fetch",
    "curl -Z",
    "wget2",
    "aria2",
    "parfive",
    "pypdl",
)


@contextmanager
def nginx(place: Path) -> Generator[None]:
    """Serve the files."""
    place.chmod(0o755)  # nginx's workers are another user if this is run by root
    (place / "www").mkdir()
    for number in range(SMALL):
        (place / "www" / f"s{number}").write_bytes(os.urandom(4096))
    for number in range(4):
        with (place / "www" / f"b{number}").open("wb") as file:
            for _ in range(256):
                file.write(os.urandom(1 << 20))
    conf = place / "nginx.conf"
    conf.write_text(_CONF.format(place=place, port=PORT))
    process = subprocess.Popen(["nginx", "-c", conf, "-p", place], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait()


def measured(fetch: Fetch, urls: list[str], folder: Path) -> tuple[float, float]:
    """Return the seconds that it takes, and those of the processor."""
    times = os.times()
    began = time.perf_counter()
    asyncio.run(fetch(urls, folder, 16))
    took = time.perf_counter() - began
    after = os.times()
    spent = sum(after[:4]) - sum(times[:4])
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    if len(names) != len(urls):
        print(f"{fetch.__name__}: {len(names)} of {len(urls)} files", file=sys.stderr)
    return took, spent


def main() -> None:
    """Print a table for each job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--small", action="store_true", help="only the small files")
    given = parser.parse_args()
    if shutil.which("nginx") is None:
        sys.exit("this needs nginx: apt-get install nginx-light")
    peers = found(*_PEERS)
    with tempfile.TemporaryDirectory(dir=given.folder) as made, nginx(Path(made)):
        for job, names in (
            (f"{SMALL} files of 4 KiB, 16 wide", [f"s{n}" for n in range(SMALL)]),
            ("4 files of 256 MiB", [f"b{n}" for n in range(4)]),
        )[: 1 if given.small else 2]:
            urls = [f"http://127.0.0.1:{PORT}/{name}" for name in names]
            taken: dict[str, list[tuple[float, float]]] = {}
            for _ in range(given.rounds):
                for name, fetch in peers.items():
                    folder = Path(tempfile.mkdtemp(dir=made))
                    taken.setdefault(name, []).append(measured(fetch, urls, folder))
                    if len(urls) == 4:  # not to fill the memory
                        shutil.rmtree(folder)
            print(f"\n{job}, {given.rounds} rounds; load {os.getloadavg()[0]:.1f}")
            figures = {
                name: (min(seconds for seconds, _ in each), statistics.median(s for _, s in each))
                for name, each in taken.items()
            }
            base = figures["bare loop"]
            for name, (seconds, spent) in figures.items():
                print(
                    f"{name:16} {seconds:7.3f} s {seconds / base[0]:6.2f}    "
                    f"processor {spent:6.3f} s {spent / base[1]:6.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
