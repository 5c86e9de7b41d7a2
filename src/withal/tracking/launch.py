"""Launching: runs a program as ``python`` would, and writes the reports when it ends."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, final

from withal._core.aliases import JsonObject
from withal.ledger import Ledger
from withal.ledger.records import Ending
from withal.tracking.formats.json import TrackReport, json_report
from withal.tracking.formats.text import text_report
from withal.tracking.main_module import run_main
from withal.tracking.options import TrackOptions
from withal.tracking.program import TRACKER
from withal.tracking.session import TrackingSession
from withal.tracking.verdict import Leak, kinds_of

_runs: list[ProgramRun] = []  # the run of this process, while it is running

LEAK_STATUS = 3
"""The exit status of ``--fail-on-leak`` if there is a leak."""


def main() -> None:
    """Run the program that the first argument describes, in place of this module."""
    run_program(TrackOptions.loaded(sys.argv[1]))


def run_program(options: TrackOptions) -> None:
    """Run a program in place of the module that this process was started with."""
    sys.argv[:] = [options.target, *options.arguments]
    ProgramRun(options).run()


def look_at_program() -> JsonObject | None:
    """Return the open resources of the tracked program, or None if this process has none."""
    return _runs[0].look() if _runs else None


@final
class ProgramRun:
    """One tracked program."""

    def __init__(self, options: TrackOptions) -> None:
        self.options = options
        self.session: TrackingSession = TrackingSession(
            Ledger(keep_closed=options.keep if options.keeps_records else 0),
            also=options.also,
            keep_statements=options.keeps_records,
            ignore=[Ending(each) for each in options.ignore],
        )
        if options.keeps_records:
            self.session.book.depth = 8
        self.started_at: float = time.time()
        self.status: int | None = 0
        self._started = time.monotonic()
        self._process = os.getpid()
        self._finished = False
        self._exit = os._exit
        self._watchers: list[Any] = []
        self._server: Any = None
        self._interim: Any = None
        self._spans: Any = None

    def run(self) -> None:
        """Run the program; its exceptions and its exit pass through."""
        # The callback that is registered first is called last, after those of the program.
        atexit.register(self._at_exit)
        _register_again()
        os._exit = self._exit_now
        self.session.book.program.add_barrier(ProgramRun.run.__code__)
        self._start_helpers()
        self.session.start()
        self._start_watchers()
        try:
            run_main(self.options, self.session.book.program, self.session.calls)
        except SystemExit as exc:
            self.status = _status(exc.code)
            self.session.book.exiting = True
            self._program_ended()
            raise
        except BaseException as exc:
            self.status = 130 if isinstance(exc, KeyboardInterrupt) else 1
            exc.__traceback__ = _of_the_program(exc.__traceback__, self.session)
            self.session.book.exiting = True
            self._program_ended()
            self._fail(exc)
        self.session.book.exiting = True
        self._program_ended()

    def _program_ended(self) -> None:
        if self._spans is not None:
            self._spans.program_ended()

    def _fail(self, error: BaseException) -> NoReturn:
        """End as the interpreter does after an exception that the program has not caught."""
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            self._die_of_interrupt()
        sys.exit(1)

    def _die_of_interrupt(self) -> NoReturn:
        """End the process by SIGINT, as the interpreter does, after all else is done."""
        import signal

        def die() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)

        atexit.unregister(self._at_exit)
        atexit._run_exitfuncs()
        self._at_exit()
        _flush()
        die()
        sys.exit(130)

    def _start_helpers(self) -> None:
        """Start the helpers that are not tracked: the writer of interim reports and the server."""
        _runs.append(self)
        if self.options.json and not _is_special(self.options.json):
            from withal.tracking.interim import Interim

            self._interim = Interim(partial(_write, self.options.json))
        if self.options.serve:
            from withal.tracking.serving import SnapshotServer

            self._server = SnapshotServer(self.look)
            self._server.start()

    def look(self) -> JsonObject:
        """Return the resources that are open now, for `withal top`."""
        from withal.tracking.snapshot import snapshot

        return snapshot(self.session, self.options.target, self._started)

    def _start_watchers(self) -> None:
        options = self.options
        if options.json or options.held is not None or options.stall is not None:
            from withal.tracking.watchdog import Watchdog

            self._watchers.append(Watchdog(self))
        if options.otel:
            from withal.tracking.otel import Spans

            self._spans = Spans(self.session)
            self._watchers.append(self._spans)

    # The end

    def _at_exit(self) -> None:
        leaks = self.finish()
        if leaks and self.options.fail_on_leak and self.status == 0:
            _flush()
            self._exit(LEAK_STATUS)

    def _exit_now(self, status: int) -> NoReturn:
        """Report, and exit; replaces ``os._exit`` while a program is tracked."""
        if os.getpid() == self._process:
            self.status = status
            try:
                if self.finish() and self.options.fail_on_leak and status == 0:
                    status = LEAK_STATUS
            except Exception:
                traceback.print_exc()
            finally:
                if sys.stderr is not None:
                    sys.stderr.flush()
                self._exit(status)
        self._exit(status)

    def finish(self) -> tuple[Leak, ...]:
        """End tracking and write the reports; only once, and not in a child process."""
        if self._finished or os.getpid() != self._process:
            return ()
        self._finished = True
        _runs.clear()
        if self._server is not None:
            self._server.stop()
        for each in self._watchers:
            each.stop()
        if self._interim is not None:
            self._interim.stop()
        book = self.session.book
        leaks = self.session.finish()
        report = self.report(kinds_of(book), leaks)
        for write in self._writers():
            try:
                write(report)
            except OSError as exc:
                print(f"withal track: cannot write a report: {exc}", file=sys.stderr)
        if not self.options.quiet and sys.stderr is not None:
            try:
                sys.stderr.write(text_report(report.kinds, leaks))
                sys.stderr.flush()
            except (OSError, ValueError):
                pass  # the program has closed it
        return leaks

    def report(self, kinds: dict[str, JsonObject], leaks: tuple[Leak, ...]) -> TrackReport:
        """Return the report of a finished program."""
        records = self.session.ledger.records if self.options.keeps_records else ()
        return TrackReport(
            self.options.target,
            self.started_at,
            time.monotonic() - self._started,
            self.status,
            kinds,
            leaks,
            records,
            self.session.book.program,
            is_complete=self._finished,
        )

    def write_interim(self, kinds: dict[str, JsonObject], leaks: tuple[Leak, ...]) -> None:
        """Write a report while the program runs, in case it is killed."""
        if self._interim is not None and os.getpid() == self._process:
            self._interim.write(json_report(self.report(kinds, leaks)))

    def _write_html(self, report: TrackReport) -> None:
        from withal.tracking.formats.html import html_report

        _write(str(self.options.html), html_report(report))

    def _write_perfetto(self, report: TrackReport) -> None:
        from withal.tracking.formats.perfetto import perfetto_report

        _write(str(self.options.perfetto), perfetto_report(report))

    def _writers(self) -> list[Callable[[TrackReport], None]]:
        options = self.options
        found: list[Callable[[TrackReport], None]] = []
        if options.json:
            found.append(lambda report: _write(str(options.json), json_report(report)))
        if options.html:
            found.append(self._write_html)
        if options.perfetto:
            found.append(self._write_perfetto)
        return found


def _write(path: str, text: str) -> None:
    """Write a file atomically; write to a device or pipe directly."""
    if _is_special(path):
        _write_all(path, os.O_WRONLY, text)
        return
    target = os.path.realpath(path)  # a symbolic link stays one
    half = f"{target}.{os.getpid()}.part"
    _write_all(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, text)
    os.replace(half, target)


def _write_all(path: str, flags: int, text: str) -> None:
    descriptor = os.open(path, flags, 0o666)
    try:
        data = memoryview(text.encode())
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _is_special(path: str) -> bool:
    """Return whether a path is a device or a pipe, such as /dev/null or /dev/stdout."""
    return os.path.exists(path) and not os.path.isfile(path)


def _status(code: object) -> int:
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def _of_the_program(
    traceback: TracebackType | None, session: TrackingSession
) -> TracebackType | None:
    """Return a traceback from the program's first frame on."""
    first = traceback
    while first is not None:
        if session.book.program.owner(first.tb_frame.f_code.co_filename) is not TRACKER:
            return first
        first = first.tb_next
    return None  # a script that does not parse has no frame


def _register_again() -> None:
    """Move the exit callbacks of modules that tracking has imported after those of this module.

    They are then called in the order in which they would be without tracking.
    """
    atexit.unregister(logging.shutdown)
    atexit.register(logging.shutdown)
    finalize: Any = weakref.finalize
    if finalize._registered_with_atexit:
        atexit.unregister(finalize._exitfunc)
        finalize._registered_with_atexit = False


def _flush() -> None:
    for stream in sys.stdout, sys.stderr:
        if stream is not None:
            with suppress(OSError, ValueError):  # the program has closed it
                stream.flush()
