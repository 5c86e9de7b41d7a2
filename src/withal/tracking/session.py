"""A tracking session: it applies the patches at its start, and removes them at its end."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from importlib.metadata import entry_points
from typing import final

from withal._core.aliases import AnyFunction
from withal._core.events import observing
from withal.ledger import Ledger
from withal.ledger.records import Ending
from withal.tracking.book import Book
from withal.tracking.importing import ImportFinder
from withal.tracking.patches import Patches
from withal.tracking.program import TrackedProgram
from withal.tracking.rewriting import (
    ACQUIRE,
    ENTER_BY_HAND,
    ENTERED,
    LEAVE_BY_HAND,
    LEFT,
    RELEASE,
    WATCHED,
)
from withal.tracking.tracker import Tracker
from withal.tracking.verdict import Leak, conclude
from withal.tracking.watch import Watch

_running: list[object] = []  # the session of this process, if there is one

Adapter = Callable[[Tracker], None]

GROUP = "withal.tracking"
"""The entry-point group in which packages register their own adapters."""

_PLACE = "withal.tracking.adapters"

# Each adapter, with the module after whose import it is applied.
_ADAPTERS = (
    ("io", "files:follow"),
    ("aiohttp", "aiohttp:follow"),
    ("aiosqlite", "aiosqlite:follow"),
    ("anyio", "anyio:follow_files"),
    ("anyio", "anyio:follow_connecting"),
    ("anyio._backends._asyncio", "anyio:follow_anyio_sockets"),
    ("anyio.streams.memory", "anyio:follow_memory"),
    ("asyncio.base_events", "network:follow_loops"),
    ("asyncio.base_events", "tasks:follow_tasks"),
    ("asyncio.base_subprocess", "processes:follow_async_processes"),
    ("asyncio.locks", "others:follow_locks"),
    ("asyncio.locks", "others:follow_semaphores"),
    ("asyncio.runners", "tasks:follow_runners"),
    ("asyncio.selector_events", "network:follow_selector_transports"),
    ("asyncio.streams", "network:follow_streams"),
    ("asyncio.unix_events", "network:follow_pipes"),
    ("asyncpg", "asyncpg:follow"),
    ("concurrent.futures.process", "threads:follow_process_pools"),
    ("concurrent.futures.thread", "threads:follow_thread_pools"),
    ("contextlib", "others:follow_stacks"),
    ("httpx", "httpx:follow"),
    ("httpx2", "httpx:follow_second"),
    ("psycopg", "psycopg:follow"),
    ("psycopg_pool", "psycopg_pool:follow"),
    ("redis", "redis:follow"),
    ("socket", "network:follow_sockets"),
    ("sqlalchemy", "sqlalchemy:follow"),
    ("sqlalchemy.ext.asyncio", "sqlalchemy:follow_async"),
    ("sqlalchemy.orm", "sqlalchemy:follow_sessions"),
    ("sqlite3", "others:follow_sqlite"),
    ("subprocess", "processes:follow_popen"),
    ("sys", "tasks:follow_generators"),
    ("tempfile", "others:follow_folders"),
    ("threading", "threads:follow_threads"),
    ("uvloop", "network:follow_uvloop"),
    ("uvloop", "tasks:follow_uvloop_tasks"),
    ("websockets.asyncio.client", "websockets:follow_clients"),
    ("websockets.asyncio.server", "websockets:follow_servers"),
    ("websockets.sync.client", "websockets:follow_blocking_clients"),
)


@final
class TrackingSession:
    """Follows the resources of a program, from `start` to `finish`.

    Args:
        ledger: the ledger for the records.
        also: names of installed packages whose ``with`` statements are followed, too.
        adapters: functions that are called with the tracker at the start.
        keep_statements: whether to keep a record of each ``with`` statement.
        ignore: classes of leaks that are not reported.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        also: Iterable[str] = (),
        adapters: Iterable[Adapter] = (),
        keep_statements: bool = False,
        ignore: Iterable[Ending] = (),
    ) -> None:
        self.ledger = ledger
        self.book: Book = Book(ledger, TrackedProgram(also))
        self.book.notes_closers = keep_statements
        self.watch: Watch = Watch(self.book, keep=keep_statements)
        self.calls: dict[str, AnyFunction] = {
            WATCHED: self.watch.watched,
            ENTERED: self.watch.entered,
            LEFT: self.watch.left,
            ENTER_BY_HAND: self.watch.enter_by_hand,
            LEAVE_BY_HAND: self.watch.leave_by_hand,
            ACQUIRE: self.watch.acquire,
            RELEASE: self.watch.release,
        }
        self.warnings: list[str] = []
        self.ignored: frozenset[Ending] = frozenset(ignore)
        self._adapters = tuple(adapters)
        self._patches = Patches(self._complain)
        self._complained: set[str] = set()
        self._tracker = Tracker(self.book, self._patches)
        self._observing = observing(ledger)
        self._finder: ImportFinder | None = None

    def start(self) -> None:
        """Patch the imported modules, and later each module that is imported.

        Raises:
            RuntimeError: if the program is tracked already.
        """
        if _running:
            raise RuntimeError(
                "this program is already tracked; tracking does not nest: end the outer one first"
            )
        _running.append(self)
        gc.callbacks.append(self.book.note_collection)
        self._observing.__enter__()
        for adapter in self._adapters:
            self._apply(adapter.__name__, partial(adapter, self._tracker))
        waiting: dict[str, list[Callable[[], None]]] = {}
        for module, place in (*_ADAPTERS, *_from_entry_points()):
            then = self._adapter(module, place)
            if module in sys.modules:
                then()
            else:
                waiting.setdefault(module, []).append(then)
        adapters = {module: _all_of(each) for module, each in waiting.items()}
        self._finder = ImportFinder(self.book.program, self.calls, adapters)
        sys.meta_path.insert(0, self._finder)

    def _adapter(self, module: str, place: str) -> Callable[[], None]:
        def apply() -> None:
            def load() -> None:
                name, _, function = place.partition(":")
                found = __import__(name if "." in name else f"{_PLACE}.{name}", fromlist=[function])
                adapter = getattr(found, function)
                self.book.program.hide(adapter)
                adapter(self._tracker)

            self._apply(module, load)

        return apply

    def _apply(self, name: str, adapter: Callable[[], None]) -> None:
        """Apply an adapter; if it fails, undo it and print a warning."""
        before = len(self._patches)
        try:
            adapter()
        except Exception as exc:
            self._patches.undo(before)  # else openings would be recorded, and closings would not
            self._warn(f"{name} is not tracked: its adapter does not fit ({_shown(exc)})")

    def _complain(self, package: str, error: Exception) -> None:
        if package not in self._complained:
            self._complained.add(package)
            self._warn(f"{package} is not tracked completely: {_shown(error)} in its adapter")

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        if sys.stderr is not None:
            with suppress(OSError, ValueError):  # the program has closed it
                print(f"withal track: {text}", file=sys.stderr)

    def finish(self) -> tuple[Leak, ...]:
        """Remove the patches, and return the leaks."""
        leaks = conclude(self.book, self.watch, self.ignored)
        self.stop()
        return leaks

    def stop(self) -> None:
        """Remove the patches."""
        self.book.is_active = False
        with suppress(ValueError):  # the program has removed it
            gc.callbacks.remove(self.book.note_collection)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        self._patches.undo()
        with suppress(ValueError):  # in another context, such as that of a task calling os._exit
            self._observing.__exit__(None, None, None)
        _running.clear()


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _all_of(functions: list[Callable[[], None]]) -> Callable[[], None]:
    def apply() -> None:
        for function in functions:
            function()

    return apply


def _from_entry_points() -> list[tuple[str, str]]:
    """Return the adapters that installed packages have registered."""
    return [(each.name, each.value) for each in entry_points(group=GROUP)]
