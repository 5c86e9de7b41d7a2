"""Fetches URLs into a folder, for the tests that kill the process that does it.

python -P fetch_hostile.py FOLDER TRANSPORT SEGMENTS SERVER NAME...
"""

from __future__ import annotations

import json
import sys

import withal
from withal.fetch import FetchOptions, TransportName, fetch_each

LIMIT = 20_000_000


def options(transport: str = "aiohttp", segments: int = 1) -> FetchOptions:
    return FetchOptions(
        jobs=32,
        per_host=32,
        attempts=4,
        backoff=0.05,
        max_retry_after=0.2,
        retry_budget=10,
        idle_timeout=1.5,
        max_bytes=LIMIT,
        headers={"X-Secret": "s3cret"},
        transport=TransportName(transport),
        segments=segments,
    )


async def main(folder: str, transport: str, segments: str, server: str, *names: str) -> int:
    urls = [f"{server}/{name}" for name in names]
    given = options(transport, int(segments))
    async for result in fetch_each(urls, folder, options=given):
        print(json.dumps([result.url, result.error and result.error.reason]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(withal.run(main(*sys.argv[1:])))
