"""Spans: one for each resource of the program, sent through OpenTelemetry's API.

The program sets the tracer provider and the exporter. A thread sends the closed resources once a
second, so that the program's own tasks send none. Leaks are sent when the program has ended, before
the provider shuts down at exit. See https://opentelemetry.io/docs/languages/python/.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, final

from withal._core.aliases import JsonObject
from withal._core.site import Site
from withal.ledger import Ending
from withal.ledger.life import Life
from withal.tracking.formats.lives import LifeState, Shown, ShownLife, shown_life
from withal.tracking.session import TrackingSession
from withal.tracking.verdict import open_leaks

_EXPORT_SECONDS = 1.0
_MAX_KEPT_SPANS = 100_000
"""How many closed resources are kept until the program sets a provider."""


@final
class Spans:
    """Sends spans until it is stopped.

    Args:
        session: the tracking session.
    """

    def __init__(self, session: TrackingSession) -> None:
        self._session = session
        self._ended: deque[Life] = deque(maxlen=_MAX_KEPT_SPANS)
        self._shown = Shown(session.book.program)
        self._offset = time.time() - time.monotonic()
        self._sending = threading.Lock()
        self._done = threading.Event()
        self._has_sent_all = False
        session.ledger.outlet = self._ended
        self._thread = threading.Thread(target=self._run, name="withal track spans", daemon=True)
        self._thread.start()
        held = session.book.find(self._thread)
        if held is not None:
            session.book.forget(held)

    def program_ended(self) -> None:
        """Send all spans at exit, before the exit callbacks that the program has registered."""
        atexit.register(self.send_all)

    def stop(self) -> None:
        """Stop the thread, and send the remaining spans."""
        self._done.set()
        self.send_all()

    def _run(self) -> None:
        while not self._done.wait(_EXPORT_SECONDS):
            # It is not imported here: the program imports it, and sets a provider.
            if "opentelemetry.sdk.trace" in sys.modules and _provider() is not None:
                with self._sending:
                    self._send_ended()

    def send_all(self) -> None:
        """Send the closed resources and the leaks; only once."""
        with self._sending:
            if self._has_sent_all:
                return
            self._has_sent_all = True
            if _provider() is None:
                _say("no span was sent: the program has not set a tracer provider of OpenTelemetry")
                return
            self._send_ended()
            leaks = {(leak.path, leak.line, leak.kind) for leak in open_leaks(self._session)}
            for held in [*self._session.book.open_now(), *self._session.watch.open_now()]:
                if held.stack and held.ending is None:
                    site = Site(*held.stack[0])
                    is_leak = (site.file, site.line, held.kind) in leaks
                    self._send(held, LifeState.LEAK if is_leak else LifeState.LEFT)

    def _send_ended(self) -> None:
        while self._ended:
            life = self._ended.popleft()
            leaked = life.ending not in (None, Ending.CLOSED) and getattr(life, "own", True)
            self._send(life, LifeState.LEAK if leaked else LifeState.CLOSED)

    def _send(self, life: Life, state: LifeState) -> None:
        if life.stack:  # without a stack it is not the program's, for example an exporter's own
            shown = shown_life(life.record(), -self._offset, state, self._shown)
            try:
                _send_span(shown)
            except Exception as exc:
                _say(f"a span was not sent: {type(exc).__name__}: {exc}")


def _provider() -> Any | None:  # Any, since OpenTelemetry may not be installed
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def _send_span(life: ShownLife) -> None:
    from opentelemetry import context, trace

    file, _, rest = life.stack[0].rpartition(" in ")[0].rpartition(":")
    attributes: JsonObject = {
        "withal.kind": life.kind,
        "withal.name": life.name,
        "withal.ending": life.ending if life.state is not LifeState.LEAK else _leak_ending(life),
        "code.file.path": file,
        "code.line.number": int(rest),
        "code.function.name": life.stack[0].rpartition(" in ")[2],
        "code.stacktrace": "\n".join(life.stack),
    }
    tasks = {
        "withal.task": life.task,
        "withal.own_task": life.own_task,
        "withal.closed_in": life.closed_in,
    }
    attributes |= {name: value for name, value in tasks.items() if value}
    span = trace.get_tracer("withal.tracking").start_span(
        f"{life.kind} {life.name}" if life.name != life.kind else life.kind,
        context=context.Context(),
        start_time=round(life.opened_at * 1e9),
        attributes=attributes,
    )
    if life.state is LifeState.LEAK:
        span.set_status(trace.StatusCode.ERROR, _leak_ending(life))
    closed_at = time.time() if life.closed_at is None else life.closed_at
    span.end(round(closed_at * 1e9))


def _leak_ending(life: ShownLife) -> str:
    return Ending.NEVER.value if life.ending == "open" else life.ending


def _say(text: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # the program has closed it
            sys.stderr.write(f"withal track: {text}\n")
