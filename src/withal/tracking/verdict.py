"""The verdict: the leaks of a program, grouped by the line that opened them."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast, final

from withal._core.aliases import JsonObject
from withal._core.site import Site
from withal.ledger.records import Ending
from withal.tracking.book import Book, Leaks
from withal.tracking.held import Held
from withal.tracking.program import PROGRAM, TrackedProgram
from withal.tracking.reach import found_below
from withal.tracking.watch import Watch


@final
@dataclass(frozen=True, slots=True)
class Leak:
    """The resources that one line of the program has opened and that were not closed.

    Attributes:
        ending: the class of the leak.
        kind: the kind of resource.
        type_name: the type of the first of them.
        file: the path of the source file, relative to the program's folder.
        path: the absolute path of the source file.
        line: the line that opened them.
        function: the function that contains the line.
        count: how many resources the line has leaked.
        opened_at: when the first of them was opened, in seconds since the epoch.
        age: seconds from then until its end, or until the verdict.
        task: the name of the task that opened it, or an empty string.
        task_is_alive: whether that task is still running.
        holders: the objects that still refer to one of them.
        stack: where it was opened, the line itself first, as ``file:line in function``.
        also: other kinds that leak with it, such as the socket of a session.
    """

    ending: Ending
    kind: str
    type_name: str
    file: str
    path: str
    line: int
    function: str
    count: int
    opened_at: float
    age: float
    task: str
    task_is_alive: bool
    holders: tuple[str, ...]
    stack: tuple[str, ...]
    also: tuple[str, ...]

    @property
    def site(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.site}: {self.kind} {self.type_name}, {self.ending.value}{times}"


def conclude(book: Book, watch: Watch | None, ignore: Iterable[Ending] = ()) -> tuple[Leak, ...]:
    """Close the book, and return the leaks by line.

    Unreferenced objects are collected first, so that they count as closed by the garbage collector.
    """
    gc.collect()
    book.sweep()
    book.is_active = False
    now = time.monotonic()
    left = list(book.open_now())
    for held in left:
        book.suspect(held, Ending.NEVER)
    for held in watch.open_now() if watch is not None else ():
        book.suspect(held, Ending.NEVER)
    left_out = frozenset(ignore)
    groups = uncovered(each for each in book.suspects.values() if each.ending not in left_out)
    for held in left:
        held.ending = Ending.NEVER
        book.endings[held.kind, Ending.NEVER] += 1
    for group in groups:
        for held in group.kept:
            book.ledger.leak(held)
    return by_line(groups, book.program, now)


def by_line(groups: list[Leaks], program: TrackedProgram, now: float) -> tuple[Leak, ...]:
    """Return the leaks of each line, in the order of the files and lines."""
    leaks = [_leak(family, program, now) for family in _families(groups)]
    return tuple(sorted(leaks, key=lambda leak: (leak.path, leak.line)))


def open_leaks(session: Any) -> tuple[Leak, ...]:
    """Return the resources that are open now, as leaks, while the program runs."""
    now = time.monotonic()
    groups: dict[tuple[object, str], Leaks] = {}
    for held in [*session.book.open_now(), *session.watch.open_now()]:
        if held.stack and held.own and not held.is_over():
            group = groups.setdefault((held.stack[0], held.kind), Leaks(held, Ending.NEVER))
            group.count += 1
            group.kept.append(held)
    found = uncovered(
        each
        for each in [*session.book.suspects.values(), *groups.values()]
        if each.ending not in session.ignored
    )
    return by_line(found, session.book.program, now)


def _rank(held: Held) -> int:
    return held.sort.rank


def uncovered(all_groups: Iterable[Leaks]) -> list[Leaks]:
    """Remove leaks that another leak has taken over or refers to: both are reported as one."""
    groups = list(all_groups)
    leaked = {held for group in groups for held in group.kept}
    covered = {held for held in leaked if any(above in leaked for above in held.holders())}
    covered |= {below for _, below in found_below(leaked, leaked)}
    return [left for group in groups if (left := group.without(covered)) is not None]


def _families(groups: list[Leaks]) -> list[list[Leaks]]:
    """Group the leaks of one line and family; in each group the highest rank is first."""
    families: dict[tuple[str, int, str], list[Leaks]] = {}
    for group in groups:
        sort = group.kept[0].sort
        site = Site(*group.kept[0].stack[0])
        families.setdefault((site.file, site.line, sort.family), []).append(group)
    for family in families.values():
        family.sort(key=lambda group: -_rank(group.kept[0]))
    return list(families.values())


def _leak(family: list[Leaks], program: TrackedProgram, now: float) -> Leak:
    head = family[0]
    same = [group for group in family if group.kept[0].kind == head.kept[0].kind]
    first = head.kept[0]
    site = Site(*first.stack[0])
    opened_at = first.opening_at
    task = None if first.opener is None else first.opener()
    ended = now if first.closed_at is None else first.closed_at
    return Leak(
        ending=head.ending,
        kind=first.kind,
        type_name=first.type_name,
        file=program.shown(site.file),
        path=site.file,
        line=site.line,
        function=site.code.co_qualname,
        count=sum(group.count for group in same),
        opened_at=time.time() - (now - opened_at),
        age=ended - opened_at,
        task=first.task if task is None else task.get_name(),
        task_is_alive=task is not None and not task.done(),
        holders=_holders(first),
        stack=_stack(first, program),
        also=tuple(dict.fromkeys(g.kept[0].kind for g in family if g not in same)),
    )


def _stack(held: Held, program: TrackedProgram) -> tuple[str, ...]:
    """Return the places up to the outermost one of the program, without callers outside of it."""
    sites = [Site(*place) for place in held.stack]
    while len(sites) > 1 and program.owner(sites[-1].file) is not PROGRAM:
        del sites[-1]
    return tuple(_shown(site, program) for site in sites)


def _shown(site: Site, program: TrackedProgram) -> str:
    return f"{program.shown(site.file)}:{site.line} in {site.code.co_qualname}"


def _holders(held: Held) -> tuple[str, ...]:
    """Describe up to three objects that refer to a leaked object."""
    thing = None if held.ref is None or held.ending is not Ending.NEVER else held.ref()
    if thing is None:
        return ()
    found: list[str] = []
    for each in gc.get_referrers(thing):
        text = _holder(each, thing)
        if text and text not in found:
            found.append(text)
    return tuple(found[:3])


def _holder(holder: object, thing: object) -> str:
    if isinstance(holder, FrameType):
        if __name__ == holder.f_globals.get("__name__"):
            return ""
        names = [name for name, value in holder.f_locals.items() if value is thing]
        return f"local {names[0]!r} of {holder.f_code.co_qualname}()" if names else ""
    if isinstance(holder, dict):
        entries = cast("dict[object, object]", holder)
        key = next((key for key, value in list(entries.items()) if value is thing), None)
        name = entries.get("__name__")
        if isinstance(name, str) and "__builtins__" in entries:
            return f"global {key!r} of module {name}"
        return f"a dict, under {key!r}" if isinstance(key, str) else "a dict"
    if isinstance(holder, list | set | tuple | deque):
        items = cast("Collection[object]", holder)
        return f"a {type(items).__name__} of {len(items)}"
    module = type(holder).__module__
    if module.startswith("withal.tracking") or type(holder).__name__ in ("method", "cell"):
        return ""
    values = getattr(holder, "__dict__", {})
    name = next((key for key, value in list(values.items()) if value is thing), None)
    return f"attribute {name!r} of a {type(holder).__qualname__}" if name else ""


def kinds_of(book: Book) -> dict[str, JsonObject]:
    """Return the totals of each kind, as data."""
    found: dict[str, JsonObject] = {}
    for kind in book.ledger.summary().kinds:
        if not kind.opened:
            continue
        ended = {ending: book.endings[kind.kind, ending] for ending in Ending}
        # Resources that are open at the verdict were never closed. Those that a closed loop left
        # open count as closed in the ledger, since they can do nothing more.
        ended[Ending.CLOSED] = kind.opened - sum(ended.values())
        found[kind.kind] = {
            "opened": kind.opened,
            **{ending.value: count for ending, count in ended.items()},
            "most at once": kind.open_at_most,
            "longest": kind.longest_seconds,
        }
    return found
