"""Fetches on two nodes of one machine, and kills a worker and a node meanwhile; prints JSON.

A program of its own, since Ray leaves threads and descriptors: ``python ray_program.py FOLDER N``.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from aiohttp import web

from withal.fetch import FetchOptions, on_ray

SHARD = 50
SMALL = 80 * 1024 * 1024
START_SECONDS = 120.0  # until all threads' stacks are printed, and the program ends
STOP_SECONDS = 60.0


def content(number: str) -> bytes:
    return f"file {number}\n".encode() * 100


async def serve(requested: Counter[str], now: Counter[str], most: list[int]) -> web.AppRunner:
    async def answer(request: web.Request) -> web.Response:
        number = request.match_info["number"]
        requested[number] += 1
        now["all"] += 1
        most[0] = max(most[0], now["all"])
        try:
            await asyncio.sleep(0.01)
        finally:
            now["all"] -= 1
        return web.Response(body=content(number))

    app = web.Application()
    app.router.add_get("/{number}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def kill_a_worker() -> bool:
    found = subprocess.run(
        ["pgrep", "--session", "0", "-f", "^ray::fetch_shard"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    for pid in found.stdout.split()[:1]:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
            return True
    return False


@contextmanager
def two_nodes() -> Generator[tuple[Any, Any]]:  # Any: Ray has no types
    """Run a cluster in this block, and yield it and the node that may be killed."""
    ray: Any = import_module("ray")
    from ray.cluster_utils import Cluster

    faulthandler.dump_traceback_later(START_SECONDS, exit=True)
    head = {"num_cpus": 1, "object_store_memory": SMALL}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    try:
        node = cluster.add_node(num_cpus=1, object_store_memory=SMALL)
        ray.init(address=cluster.address, log_to_driver=False)
        faulthandler.cancel_dump_traceback_later()
        yield cluster, node
    finally:
        faulthandler.dump_traceback_later(STOP_SECONDS, exit=True)
        ray.shutdown()
        cluster.shutdown()
        faulthandler.cancel_dump_traceback_later()


async def main(folder: Path, count: int) -> None:
    with two_nodes() as (cluster, node):
        await fetch_twice(folder, count, cluster, node)


async def fetch_twice(folder: Path, count: int, cluster: Any, node: Any) -> None:
    """Fetch, with a worker and the node killed meanwhile; then fetch again, which skips all."""
    requested, now, most = Counter[str](), Counter[str](), [0]
    server = await serve(requested, now, most)
    host, port = server.addresses[0][:2]
    urls = [f"http://{host}:{port}/{number}" for number in range(count)]
    options = FetchOptions(per_host=8)

    wrong: list[str] = []
    errors: list[str] = []
    got = 0
    killed = {"worker": False, "node": False}
    async for result in on_ray(urls, folder, shard_size=SHARD, options=options):
        got += 1
        if result.path is None:
            errors.append(str(result.error))
        elif result.path.read_bytes() != content(result.url.rpartition("/")[2]):
            wrong.append(result.url)
        if got >= count // 4 and not killed["worker"]:
            killed["worker"] = await asyncio.to_thread(kill_a_worker)
        if got >= count // 2 and not killed["node"]:
            killed["node"] = True
            await asyncio.to_thread(cluster.remove_node, node)
    repeated = sum(number - 1 for number in requested.values())
    again = [result async for result in on_ray(urls, folder, shard_size=SHARD, options=options)]
    lines = [line for path in (folder / "results").iterdir() for line in path.open()]
    print(
        json.dumps(
            {
                "got": got,
                "wrong": wrong,
                "errors": errors[:3],
                "killed": killed,
                "repeated": repeated,
                "skipped_again": sum(each.skipped for each in again),
                "requested_again": sum(requested.values()) - count - repeated,
                "lines": len(lines),
                "most_at_a_time": most[0],
            }
        )
    )
    await server.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
