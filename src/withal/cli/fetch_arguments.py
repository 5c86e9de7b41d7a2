"""The arguments of ``withal fetch``, for typer. The command's code is imported when it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from withal._core.aliases import JsonObject
from withal.cli.choices import Existing, Layouts, RayResults, Transports
from withal.cli.console import require
from withal.cli.interrupt import run_until_signal
from withal.cli.quantities import bytes_of

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
    """Parse the number of files at a time."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is invalid; use a number, 1 or more, or auto")
    return int(text)


def _headers(texts: list[str]) -> dict[str, str]:
    """Parse ``Name: value``."""
    found: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon:
            raise typer.BadParameter("a header has no colon; write 'Name: value'")
        found[name.strip()] = value.strip()
    return found


def fetch(
    # Hidden in the table of the help only, which would just repeat "URL".
    urls: Annotated[list[str] | None, typer.Argument(metavar="URL", hidden=True)] = None,
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="Read URLs from a file (text, CSV, JSONL, Parquet), or - for standard input.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The folder; created if missing."),
    ] = Path(),
    output_file: Annotated[
        Path | None,
        typer.Option("--output-file", "-O", metavar="FILE", help="The file, for one URL."),
    ] = None,
    jobs: Annotated[
        str,
        typer.Option("--jobs", "-j", metavar="N", help="Files at a time; auto adapts the number."),
    ] = "auto",
    per_host: Annotated[
        int, typer.Option(metavar="N", min=1, help="Maximum number of files from one host.")
    ] = 16,
    segments: Annotated[
        int, typer.Option(metavar="N", min=1, help="Maximum connections for one large file.")
    ] = 1,
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.001, help="Maximum requests per second.")
    ] = None,
    limit_bytes: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Maximum bytes per second (500k, 10M).")
    ] = None,
    attempts: Annotated[
        int, typer.Option(metavar="N", min=1, help="Maximum number of attempts for a file.")
    ] = 5,
    connect_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.001, help="Maximum time for connecting.")
    ] = 30,
    idle_timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.001, help="Maximum time without data from a server."),
    ] = 60,
    low_speed: Annotated[
        str | None,
        typer.Option(metavar="BYTES", help="Abort below this rate per second, over 30 seconds."),
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Maximum size of a file.")
    ] = None,
    checksum: Annotated[
        str | None,
        typer.Option(metavar="sha256:HEX", help="The expected checksum, for one URL."),
    ] = None,
    layout: Annotated[
        Layouts, typer.Option(help="How files are named: by name, by host/path, by hash.")
    ] = Layouts.FLAT,
    on_exists: Annotated[
        Existing, typer.Option(help="How to treat existing files that no earlier run has fetched.")
    ] = Existing.ERROR,
    durable: Annotated[
        bool, typer.Option("--durable", help="Write each file to the disk (fsync).")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Keep a journal, and continue from it.")
    ] = True,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Only URLs that failed before; without URLs, all."),
    ] = False,
    expect_type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Reject other content types (image/*)."),
    ] = None,
    public_only: Annotated[
        bool, typer.Option("--public-only", help="Reject private and local addresses.")
    ] = False,
    header: Annotated[
        list[str],
        typer.Option(metavar="'NAME: VALUE'", help="Send a header; may be given several times."),
    ] = [],  # noqa: B006  # it is not changed
    netrc: Annotated[
        bool, typer.Option("--netrc", help="Read users and passwords from ~/.netrc.")
    ] = False,
    proxy: Annotated[
        str | None, typer.Option(metavar="URL", help="Use this proxy; an empty one for no proxy.")
    ] = None,
    transport: Annotated[Transports, typer.Option(help="The HTTP client.")] = Transports.AUTO,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Fetch on a Ray cluster: host:6379, auto, or local to start it."
        ),
    ] = None,
    ray_results: Annotated[
        RayResults, typer.Option(help="With --ray, the format of the files of results.")
    ] = RayResults.JSONL,
    json_: Annotated[
        bool, typer.Option("--json", help="Print each result as a line of JSON.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print each file, and each retry.")
    ] = False,
) -> None:
    """Download http and https URLs into files, many at a time.

    A file appears under its name when it is complete. A URL that fails is reported in a line on
    standard error and does not stop the others. A second run fetches only missing files, and
    continues interrupted ones; the journal .withal-fetch in the folder is used for that.

    \b
    Example:
      withal fetch -o data https://example.org/a.csv https://example.org/b.csv
      withal fetch -o data -i urls.txt
      withal fetch -o data --retry-failed

    FILE has one URL per line; or rows of CSV with url, name, checksum, size; or one JSON object
    per line with these keys; or is a table with these columns, if its name ends in .parquet.

    \b
    Exit status:
      0    all files are complete
      1    at least one is not
      2    the arguments are wrong, or a package is not installed
      130  stopped by Ctrl-C (143 by SIGTERM)
    """
    arguments = dict(locals())
    _require_packages(ray, ray_results, input_)
    _check_combination(arguments)
    from withal.cli.fetch import FetchCommand, FetchOutput
    from withal.fetch import FetchOptions

    try:
        command = FetchCommand(
            FetchOptions(**settings_of(arguments)),
            FetchOutput(json=json_, quiet=quiet, verbose=verbose),
            urls=list(urls or ()),
            input=input_,
            folder=output,
            file=output_file,
            checksum=checksum,
            ray=ray,
            ray_results=ray_results.value,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(run_until_signal(command.run()))


def _require_packages(ray: str | None, results: RayResults, input_: Path | None) -> None:
    """Check that the optional packages are installed that the arguments need."""
    require("aiohttp", extra="http")
    if ray is not None:
        require("ray", extra="ray")
    if results is RayResults.PARQUET or (input_ is not None and input_.suffix == ".parquet"):
        require("pyarrow", extra="parquet")


def _check_combination(given: JsonObject) -> None:
    """Reject combinations of arguments that exclude each other."""
    count = len(given["urls"] or ())
    is_one = count == 1 and given["input_"] is None
    if not count and given["input_"] is None and not given["retry_failed"]:
        raise typer.BadParameter("the URLs, or with -i the file of URLs, are missing")
    for option, name in (("-O", "output_file"), ("--checksum", "checksum")):
        if given[name] is not None and not is_one:
            raise typer.BadParameter(f"{option} is for one URL; pass only one")
    if given["ray"] is not None and (
        given["output_file"] is not None or given["retry_failed"] or not given["resume"]
    ):
        raise typer.BadParameter("--ray excludes -O, --retry-failed and --no-resume")
    if given["quiet"] and given["verbose"]:
        raise typer.BadParameter("--quiet and --verbose exclude each other")


# The arguments that have the name and the form of an option of `FetchOptions`.
_UNCHANGED = (
    "per_host", "segments", "rate", "attempts", "connect_timeout", "idle_timeout", "durable",
    "resume", "retry_failed", "expect_type", "public_only", "netrc", "proxy",
)  # fmt: skip


def settings_of(given: JsonObject) -> JsonObject:
    """Return the arguments for `FetchOptions`."""
    return {
        **{name: given[name] for name in _UNCHANGED},
        "jobs": _number(given["jobs"]),
        **{name: _bytes(given[name]) for name in ("limit_bytes", "low_speed", "max_bytes")},
        **{name: given[name].value for name in ("layout", "on_exists", "transport")},
        "headers": _headers(given["header"]),
        "grace": _GRACE_SECONDS,
    }
