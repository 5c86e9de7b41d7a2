"""Starts a process that rewrites a file atomically, kills it at a random instant, and looks.

Run as a program: ``killed_writer.py <file> <rounds> <seed>``. It forks, rather than start an
interpreter, for each round. Prints how often the file had changed when it looked.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
import time

from withal.files.replace.atomic_write import atomic_write

LONGEST = 200_000
SLOWEST = 0.06  # seconds until the kill, in which a writer rewrites the file tens of times


def content() -> bytes:
    body = random.randbytes(random.choice([9, random.randrange(9, LONGEST)]))
    return hashlib.sha256(body).digest() + body


def is_whole(data: bytes) -> bool:
    return hashlib.sha256(data[32:]).digest() == data[:32]


async def rewrite(path: str, durable: bool) -> None:
    while True:
        data = content()
        async with atomic_write(path, "wb", durable=durable) as file:
            for start in range(0, len(data), 50_000):
                await file.write(data[start : start + 50_000])


def main(path: str, rounds: int, seed: int) -> int:
    random.seed(seed)
    last, changes = b"", 0
    for number in range(rounds):
        pid = os.fork()
        if not pid:
            random.seed(number)
            asyncio.run(rewrite(path, durable=number % 4 == 0))
        time.sleep(random.uniform(0.001, SLOWEST))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with open(path, "rb") as file:
            data = file.read()
        if not is_whole(data):
            raise SystemExit(f"round {number}: {len(data)} torn bytes")
        changes += data != last
        last = data
    return changes


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
