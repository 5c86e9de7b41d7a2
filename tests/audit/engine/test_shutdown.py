"""Shutdown: a program ends after an audit, although audited code has left threads that do not."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # each starts an interpreter, which gives threads time to end

SCRIPT = """
import asyncio, atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from withal.audit import audit

kept = []

def in_a_thread(function):
    threading.Thread(target=function, name="left").start()

def in_an_executor(function):
    kept.append(ThreadPoolExecutor(1, thread_name_prefix="left"))
    kept[-1].submit(function)

def in_the_loops_executor(function):
    asyncio.get_running_loop().run_in_executor(None, function)

def never_end():
    threading.Event().wait()

def end_a_little_later():
    time.sleep(0.5)
    print("it ended")

def end_with_the_main_thread():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    print("it ended")

async def careless():
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        {start}({function})
        raise

atexit.register(print, "atexit")
threading.Thread(target=lambda: (time.sleep(3), print("the user's own ended"))).start()
audit(careless, deliveries="early", timeout=0.2)
print("the script went on", end=" ")
sys.exit(7)
"""


def run(start: str, function: str) -> tuple[str, str]:
    script = SCRIPT.replace("{start}", start).replace("{function}", function)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 7
    assert "the script went on" in done.stdout
    assert "the user's own ended" in done.stdout
    assert done.stdout.endswith("atexit\n")
    return done.stdout, done.stderr


@pytest.mark.parametrize("start", ["in_a_thread", "in_an_executor", "in_the_loops_executor"])
def test_a_thread_that_never_ends_is_not_waited_for_and_named(start: str) -> None:
    _, err = run(start, "never_end")
    assert err.startswith("withal: the program ends without waiting for the thread ")
    assert err.count("\n") == 1
    assert f" in {start}, it is running at <string>:" in err
    assert err.endswith(" in never_end\n")


@pytest.mark.parametrize("function", ["end_a_little_later", "end_with_the_main_thread"])
def test_a_thread_that_ends_by_itself_is_waited_for(function: str) -> None:
    out, err = run("in_a_thread", function)
    assert "it ended" in out
    assert err == ""
