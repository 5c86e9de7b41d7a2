"""Tracks a small program in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOSTILE = "</script><img src=x onerror=alert(1)>&amp;"

LEAKY = f"""
import asyncio

async def work(lock):
    async with lock:
        await asyncio.sleep(0.01)

async def close(stack):
    stack.close()

async def main():
    global kept
    lock = asyncio.Lock()
    await asyncio.create_task(work(lock), name={HOSTILE!r})
    passed = open("/dev/null")
    await asyncio.create_task(close(passed), name="closer")
    kept = open("/dev/null")  # leaks

asyncio.run(main())
"""


def track(folder: Path, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    script = folder / "program.py"
    script.write_text(program)
    command = [sys.executable, "-m", "withal", "track", *options, str(script)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=100, cwd=folder
    )
