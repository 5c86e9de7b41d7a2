"""`tracking`, for a part of a program."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

from withal.ledger import Ledger
from withal.ledger.records import Ending
from withal.tracking.session import Session
from withal.tracking.tracker import Tracker


@contextmanager
def tracking(
    *,
    ledger: Ledger | None = None,
    also: Iterable[str] = (),
    adapters: Iterable[Callable[[Tracker], None]] = (),
    ignore: Iterable[Ending] = (),
) -> Generator[Ledger]:
    """Follow what is opened in this block, and yield the ledger that records it.

    Files, sockets, transports, streams, servers, processes, threads, executors, tasks,
    asynchronous generators, locks, temporary folders, connections to SQLite, what the adapters of
    installed packages follow, and the resources of scopes. Each ``with`` of modules that are
    imported within the block is followed, too.

    When the block ends, what is still open has leaked: `Ledger.leaked` returns it, and what the
    garbage collector, the end of a loop, or a finalizer at exit has closed.

    Blocks do not nest, and other threads are followed, too.

    Args:
        ledger: where the records are kept; by default a new one.
        also: names of installed packages whose ``with`` statements are followed, too.
        adapters: functions that are called with the `Tracker`, to follow classes of your own.
        ignore: classes of leaks that are left out.

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
    session = Session(
        Ledger() if ledger is None else ledger, also=also, adapters=adapters, ignore=ignore
    )
    session.start()
    try:
        yield session.ledger
    finally:
        session.finish()
