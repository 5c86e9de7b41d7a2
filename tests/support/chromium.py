"""Chromium without a window, in which the tests look at HTML pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

ARGUMENTS = (
    "--no-sandbox",  # root may not have it, and only pages of these tests are opened
    "--disable-dev-shm-usage",  # in a container /dev/shm has 64 MiB, too little for a page
)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start Chromium, and stop it at the end."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
