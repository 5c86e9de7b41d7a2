"""Stand-ins: code that replaces withal's fixtures in a program without withal."""

from __future__ import annotations

from typing import Final

_CONTENDED = '''@contextlib.asynccontextmanager
async def {name}(lock, hold=0.1):
    """Let another task hold the lock for a while, and a second one wait for it later."""
    make = lock if callable(lock) else lambda: lock
    held = asyncio.Event()

    async def hold_it():
        async with make():
            held.set()
            await asyncio.sleep(hold)

    async def wait_behind():
        await asyncio.sleep(hold / 2)
        async with make():
            pass

    others = [asyncio.create_task(hold_it()), asyncio.create_task(wait_behind())]
    await held.wait()
    try:
        yield
        _, waiting = await asyncio.wait(others, timeout=1)
        if waiting:
            raise TimeoutError("the task that waits behind was not woken")
    finally:
        for task in others:
            task.cancel()
        await asyncio.wait(others)'''

STAND_INS: Final = {
    "contended": _CONTENDED.format(name="contended"),
    "queued": _CONTENDED.format(name="queued"),
    "expect": "def expect(*args, **options):\n    pass",
}
"""The code of each stand-in."""

WITHOUT_STAND_IN: Final = {
    "slow_proxy": "is a process between the scenario and its server",
    "faults": "is a process between the scenario and its server",
    "crowd": "works only in an audit",
}
"""The fixtures without a stand-in, and why they have none."""
