"""The arguments of ``withal fetch``, for typer. What they do is imported when it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from withal.cli.choices import Existing, Layouts, Transports
from withal.cli.interrupt import run_until_signal
from withal.cli.quantities import bytes_of
from withal.cli.requirements import require

_GRACE_SECONDS = 0.5

_LIMITS = "Limits"
_FILES = "Files"
_SERVERS = "Servers"
_OUTPUT = "Output"


def _bytes(text: str | None) -> int | None:
    """Parse an amount of bytes."""
    if text is None:
        return None
    try:
        return bytes_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _number(text: str) -> int | None:
    """Parse how many files at a time."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither a number, 1 or more, nor auto")
    return int(text)


def _headers(texts: list[str]) -> dict[str, str]:
    """Parse ``Name: value``."""
    found: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon:
            raise typer.BadParameter("a header is written 'Name: value', and one has no colon")
        found[name.strip()] = value.strip()
    return found


def fetch(
    # Hidden from the table of the help only, which has nothing to add to "URL".
    urls: Annotated[list[str] | None, typer.Argument(metavar="URL", hidden=True)] = None,
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="Read URLs from a file (text, CSV or JSONL), or - for standard input.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The folder; made if it is missing."),
    ] = Path(),
    output_file: Annotated[
        Path | None,
        typer.Option("--output-file", "-O", metavar="FILE", help="The file, for one URL."),
    ] = None,
    jobs: Annotated[
        str,
        typer.Option("--jobs", "-j", metavar="N", help="Files at a time; auto finds out how many."),
    ] = "auto",
    per_host: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many of them from one host.")
    ] = 16,
    segments: Annotated[
        int, typer.Option(metavar="N", min=1, help="Connections for one large file, at most.")
    ] = 1,
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.001, help="Requests a second, at most.")
    ] = None,
    limit_bytes: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Bytes a second, at most (500k, 10M).")
    ] = None,
    attempts: Annotated[
        int, typer.Option(metavar="N", min=1, help="How often a file is tried.")
    ] = 5,
    connect_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.001, help="How long connecting may take.")
    ] = 30,
    idle_timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.001, help="How long a server may send nothing."),
    ] = 60,
    low_speed: Annotated[
        str | None,
        typer.Option(metavar="BYTES", help="Give up below so many a second, over 30 seconds."),
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(metavar="BYTES", help="How long a file may be.")
    ] = None,
    checksum: Annotated[
        str | None,
        typer.Option(metavar="sha256:HEX", help="What the file must have, for one URL."),
    ] = None,
    layout: Annotated[
        Layouts, typer.Option(help="How files are named: by name, by host/path, by hash.")
    ] = Layouts.FLAT,
    on_exists: Annotated[
        Existing, typer.Option(help="What is done about files that are not of an earlier run.")
    ] = Existing.ERROR,
    durable: Annotated[
        bool, typer.Option("--durable", help="Have each file survive a power cut (fsync).")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Keep a journal, and go on from it.")
    ] = True,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Only what failed before; without URLs, all of that."),
    ] = False,
    expect_type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Refuse other content types (image/*)."),
    ] = None,
    public_only: Annotated[
        bool, typer.Option("--public-only", help="Refuse private and local addresses.")
    ] = False,
    header: Annotated[
        list[str],
        typer.Option(metavar="'NAME: VALUE'", help="Send a header; may be given several times."),
    ] = [],  # noqa: B006  # it is not changed
    netrc: Annotated[
        bool, typer.Option("--netrc", help="Take users and passwords from ~/.netrc.")
    ] = False,
    proxy: Annotated[
        str | None, typer.Option(metavar="URL", help="Use this proxy; an empty one is none.")
    ] = None,
    transport: Annotated[
        Transports, typer.Option(help="What speaks to the servers.")
    ] = Transports.AUTO,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Fetch on a Ray cluster: host:6379, auto, or local to start it."
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print each result as a line of JSON.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print each file, and each retry.")
    ] = False,
) -> None:
    """Download http and https URLs into files, many at a time.

    A file appears under its name complete, or does not appear. A URL that fails is told in a line
    on standard error and does not stop the others. Run again, it does only what is missing, and
    goes on where it was interrupted; the journal .withal-fetch in the folder is for that.

    \b
    Example:
      withal fetch -o data https://example.org/a.csv https://example.org/b.csv
      withal fetch -o data -i urls.txt
      withal fetch -o data --retry-failed

    FILE has one URL a line; or rows of CSV with url, name, checksum, size; or a JSON object a
    line with these keys.

    \b
    Exit status:
      0    every file is there
      1    at least one is not
      2    the arguments are wrong, or something is not installed
      130  stopped by Ctrl-C (143 by SIGTERM)
    """
    require("aiohttp", extra="http")
    if ray is not None:
        require("ray", extra="ray")
    from withal.cli.fetch import FetchCommand, Told
    from withal.fetch import FetchOptions

    given = list(urls or ())
    settings: dict[str, Any] = {
        "jobs": _number(jobs),
        "per_host": per_host,
        "rate": rate,
        "limit_bytes": _bytes(limit_bytes),
        "attempts": attempts,
        "connect_timeout": connect_timeout,
        "idle_timeout": idle_timeout,
        "low_speed": _bytes(low_speed),
        "max_bytes": _bytes(max_bytes),
        "layout": layout.value,
        "on_exists": on_exists.value,
        "durable": durable,
        "resume": resume,
        "retry_failed": retry_failed,
        "expect_type": expect_type,
        "public_only": public_only,
        "headers": _headers(header),
        "netrc": netrc,
        "proxy": proxy,
        "transport": transport.value,
        "grace": _GRACE_SECONDS,
    }
    if not given and input_ is None and not retry_failed:
        raise typer.BadParameter("which URLs, or with -i which file of URLs, is missing")
    is_one = len(given) == 1 and input_ is None
    for option, value in (("-O", output_file), ("--checksum", checksum)):
        if value is not None and not is_one:
            raise typer.BadParameter(f"{option} is for one URL, and there are others")
    if ray is not None and (output_file is not None or retry_failed or not resume):
        raise typer.BadParameter("--ray excludes -O, --retry-failed and --no-resume")
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose exclude each other")
    try:
        options = FetchOptions(**settings)
        command = FetchCommand(
            options,
            Told(json=json_, quiet=quiet, verbose=verbose),
            urls=given,
            input=input_,
            folder=output,
            file=output_file,
            checksum=checksum,
            ray=ray,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(run_until_signal(command.run()))
