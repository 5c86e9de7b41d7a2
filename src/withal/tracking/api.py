"""`tracking`, which follows a part of a program."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

from withal.ledger import Ledger
from withal.ledger.records import Ending
from withal.tracking.session import TrackingSession
from withal.tracking.tracker import Tracker


@contextmanager
def tracking(
    *,
    ledger: Ledger | None = None,
    also: Iterable[str] = (),
    adapters: Iterable[Callable[[Tracker], None]] = (),
    ignore: Iterable[Ending] = (),
) -> Generator[Ledger]:
    """Follow the resources that are opened in this block; yield the ledger that records them.

    These are files, sockets, transports, streams, servers, processes, threads, executors, tasks,
    asynchronous generators, locks, temporary folders, connections to SQLite, the resources of
    scopes, and those that the adapters of installed packages follow. Each ``with`` statement of
    modules that are imported within the block is followed, too.

    When the block ends, resources that are still open have leaked. `Ledger.leaked` returns them,
    and those that were closed by the garbage collector, the end of a loop, or a finalizer at exit.

    Blocks do not nest. All threads are followed.

    Args:
        ledger: the ledger for the records; by default a new one.
        also: names of installed packages whose ``with`` statements are followed, too.
        adapters: functions that are called with the `Tracker`, to follow classes of your own.
        ignore: classes of leaks that are not reported.

    Raises:
        RuntimeError: if a program is tracked already.

    Example:
        >>> from withal.tracking import tracking
        >>> with tracking() as ledger:
        ...     file = open("/dev/null")
        >>> print(ledger.leaked()[0].kind)
        file
        >>> file.close()
    """
    session = TrackingSession(
        Ledger() if ledger is None else ledger, also=also, adapters=adapters, ignore=ignore
    )
    session.start()
    try:
        yield session.ledger
    finally:
        session.finish()
