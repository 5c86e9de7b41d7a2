"""The options of ``withal track``, as the command passes them to the program's process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import final

from withal._core.aliases import JsonObject

STDIN = "-"
"""The target that stands for a script on standard input, as for ``python -``."""


@final
@dataclass(frozen=True, slots=True)
class TrackOptions:
    """The options of one run.

    Attributes:
        target: the path of a script, or of a folder or zip archive with a ``__main__.py``; `STDIN`;
            or the name of a module.
        is_module: whether `target` is the name of a module.
        arguments: the program's own arguments.
        also: installed packages whose ``with`` statements are followed, too.
        ignore: classes of leaks that are not reported, by their names.
        fail_on_leak: exit with status 3 if there is a leak.
        quiet: print no report.
        held: warn of resources that are open for longer than this, in seconds.
        stall: report the line that blocks a loop for longer than this, in seconds.
        json: the file of the JSON report.
        html: the file of the HTML page.
        perfetto: the file of the trace.
        otel: send spans.
        live: show a view while the program runs.
        serve: let ``withal top`` attach.
        keep: how many records of closed resources are kept.
    """

    target: str
    is_module: bool = False
    arguments: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on_leak: bool = False
    quiet: bool = False
    held: float | None = None
    stall: float | None = None
    json: str | None = None
    html: str | None = None
    perfetto: str | None = None
    otel: bool = False
    live: bool = False
    serve: bool = False
    keep: int = 10_000

    def dumped(self) -> str:
        """Return the options as one argument of a command."""
        return json.dumps(asdict(self))

    @staticmethod
    def loaded(text: str) -> TrackOptions:
        """Return the options from the text of `dumped`."""
        values: JsonObject = json.loads(text)
        for name in "arguments", "also", "ignore":
            values[name] = tuple(values[name])
        return TrackOptions(**values)

    @property
    def keeps_records(self) -> bool:
        """Whether a record of each ``with`` statement is kept."""
        return bool(self.json or self.html or self.perfetto or self.otel)
