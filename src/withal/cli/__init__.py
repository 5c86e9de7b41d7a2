"""The command line: ``withal``. Needs the extra ``withal[cli]``, and says so without it."""

from __future__ import annotations

import sys

from withal.cli.requirements import require


def main() -> None:
    """Run the command that the arguments ask for, and exit with its status.

    0: done. 1: something could not be done, and standard error says what. 2: the arguments are
    wrong, or something is not installed. 130 and 143: stopped by SIGINT and SIGTERM.
    """
    if sys.argv[1:2] == ["track"]:
        from withal.cli.track import track_at_once

        track_at_once(sys.argv[2:])
    require("typer", "rich", extra="cli")
    try:
        from withal.cli.app import app

        app(prog_name="withal")
    except KeyboardInterrupt:  # while it was still importing, and so had nothing open
        sys.exit(130)
