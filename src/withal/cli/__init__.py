"""The command line: ``withal``. Needs the extra ``withal[cli]``, and names it if it is missing."""

from __future__ import annotations

import sys

from withal.cli.console import require


def main() -> None:
    """Run the command that the arguments name, and exit with its status.

    0: done. 1: something failed; standard error has the reason. 2: the arguments are wrong, or a
    package is not installed. 130 and 143: stopped by SIGINT and SIGTERM.
    """
    if sys.argv[1:2] == ["track"]:
        from withal.cli.track import track_at_once

        track_at_once(sys.argv[2:])
    require("typer", "rich", extra="cli")
    try:
        from withal.cli.app import app

        app(prog_name="withal")
    except KeyboardInterrupt:  # during the imports, when nothing is open yet
        sys.exit(130)
