"""What the reports of an audit cost: ``python -m benchmarks.audit_report [ATTEMPTS]``.

Renders a record of 10,000 attempts in each format, and opens the HTML in a headless Chromium, if
there is one. "Interactive" is from the start of the navigation until the matrix is drawn and a
click on its first cell has shown the stack.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from types import CodeType

from rich.console import Console
from rich.table import Table

from withal._core.site import Site
from withal.audit.report import html, json, junit, sarif, text
from withal.audit.report.record import (
    WORST_FIRST,
    Attempt,
    AuditRecord,
    Delivery,
    Finding,
    Suspension,
    Verdict,
)

ATTEMPTS = 10_000
MODULES = 20
FUNCTIONS = 10  # in each module
FRAMES = 8  # in each chain
ROUNDS = 7
DELIVERIES = tuple(Delivery)
FUNCTION = """
async def operation_{number}(connection: Connection) -> None:
    await connection.send(REQUEST_{number})
"""


def functions(folder: Path) -> Iterator[CodeType]:
    """Write modules, and yield the code of the functions in them."""
    for module in range(MODULES):
        path = folder / f"protocol_{module}.py"
        source = "from __future__ import annotations\n"
        source += "".join(FUNCTION.format(number=number) for number in range(FUNCTIONS))
        path.write_text(source)
        constants = compile(source, path, "exec").co_consts
        yield from (each for each in constants if isinstance(each, CodeType))


def many_attempts(number: int, folder: Path) -> AuditRecord:
    """Return the record of a large audit, in which every fifth attempt left something behind."""
    codes = list(functions(folder))
    suspensions = tuple(
        Suspension(
            ordinal,
            "scenario" if ordinal % 3 else "heartbeat",
            tuple(Site(codes[(ordinal * step) % len(codes)], 2) for step in range(FRAMES, 0, -1)),
            "Future",
        )
        for ordinal in range(1, number // len(DELIVERIES) + 1)
    )
    attempts = tuple(
        attempt(suspension, delivery) for suspension in suspensions for delivery in DELIVERIES
    )
    return AuditRecord(
        scenario="large",
        target="large.py:large",
        verdict=Verdict.UNSAFE,
        suspensions=suspensions,
        attempts=attempts,
        deliveries=DELIVERIES,
        python="CPython",
        seconds=31.5,
    )


def attempt(suspension: Suspension, delivery: Delivery) -> Attempt:
    ordinal = suspension.ordinal
    address = f"{ordinal}:{delivery}"
    if ordinal % 5:
        silent = "the loop did not become idle within 5 s" if ordinal % 7 == 0 else ""
        return Attempt(address, suspension, delivery, "cancelled", unresolved=silent)
    finding = Finding(
        address,
        suspension,
        delivery,
        WORST_FIRST[ordinal // 5 % len(WORST_FIRST)],
        f"socket {ordinal} is still open: 127.0.0.1:{40000 + ordinal} -> 127.0.0.1:6379",
        "opened by connect()\n  protocol.py:17 in connect\n" * 3,
    )
    return Attempt(address, suspension, delivery, "cancelled", (finding,))


def rendering(record: AuditRecord) -> Iterator[tuple[str, float, int]]:
    """Yield the name of each format, the seconds that it took, and its bytes."""
    forms: list[tuple[str, Callable[[AuditRecord], str]]] = [
        ("text", text.render),
        ("json", json.render),
        ("junit", junit.render),
        ("sarif", sarif.render),
        ("html", html.render),
    ]
    for name, render in forms:
        times = []
        for _ in range(3):
            started = perf_counter()
            rendered = render(record)
            times.append(perf_counter() - started)
        yield name, min(times), len(rendered.encode())


def opening(page: Path, chromium: str) -> Iterator[tuple[float, float]]:
    """Yield the seconds until the matrix is drawn, and until a click on a cell has been obeyed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for _ in range(ROUNDS):
            with browser.new_context() as context:
                tab = context.new_page()
                tab.goto("about:blank")
                started = perf_counter()
                tab.goto(page.as_uri(), wait_until="load")
                drawn = float(tab.evaluate("performance.now()")) / 1000
                tab.locator("button.cell").first.click()
                tab.locator(".panel").wait_for()
                yield drawn, perf_counter() - started
        browser.close()


def main() -> None:
    console = Console()
    number = int(sys.argv[1]) if len(sys.argv) > 1 else ATTEMPTS
    with TemporaryDirectory() as folder:
        record = many_attempts(number, Path(folder))
        table = Table("format", "rendered in", "size", title=f"{len(record.attempts):,} attempts")
        for name, seconds, size in rendering(record):
            table.add_row(name, f"{seconds:.3f} s", f"{size / 1e6:.2f} MB")
        console.print(table)
        page = Path(folder) / "report.html"
        page.write_text(html.render(record), "utf-8")
        chromium = shutil.which("chromium")
        if chromium is None:
            console.print("There is no chromium to open the page in.")
            return
        drawn, obeyed = zip(*opening(page, chromium), strict=True)
        console.print(
            f"Chromium, median of {ROUNDS}: drawn after {median(drawn):.3f} s,"
            f" a click obeyed after {median(obeyed):.3f} s (target: 1 s)"
        )


if __name__ == "__main__":
    main()
