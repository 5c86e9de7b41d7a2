"""Results as lines of JSON."""

from __future__ import annotations

import json

from withal._core.printable import printable
from withal.fetch.report import Result


def result_line(result: Result) -> str:
    """Return a result as one line of JSON."""
    return json.dumps(result_row(result))


def result_row(result: Result) -> dict[str, str | int | None]:
    """Return a result as a row of a table, by names of columns."""
    error = result.error
    return {
        "url": printable(result.url),
        "status": "failed" if error else "skipped" if result.skipped else "fetched",
        "path": None if result.path is None else str(result.path),
        "size": result.size,
        "sha256": result.sha256,
        "attempts": result.attempts,
        "resumed": result.resumed,
        "error": None if error is None else error.reason,
    }
