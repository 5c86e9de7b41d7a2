"""The program of a finding: blocks of code, chosen by category and delivery."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent
from typing import Final, final

from withal._core.printable import printable
from withal.audit.programs.excerpt import Excerpt
from withal.audit.report.locations import Places, shortened
from withal.audit.report.record import AuditRecord, Category, Delivery, Finding
from withal.audit.scenario import Scenario, is_awaited, takes_argument

_OPEN: Final = '''\
def left():
    """Return the open descriptors of the process, by kind."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of listdir itself
            links.append(os.readlink(f"/proc/self/fd/{fd}").partition(":")[0])
    return sorted(links)
'''
_TASKS: Final = '''\
def left():
    """Return the functions of the tasks that have not ended."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return sorted(task.get_coro().__qualname__ for task in tasks)
'''
_THREADS: Final = '''\
def left():
    """Return the number of threads."""
    return threading.active_count()
'''
_PROCESSES: Final = '''\
def left():
    """Return the number of child processes."""
    lists = glob.glob("/proc/self/task/*/children")
    return sum(len(pathlib.Path(each).read_text().split()) for each in lists)
'''
_WARNINGS: Final = '''\
complaints = []
warnings.simplefilter("always")
warnings.showwarning = lambda message, *rest, **more: complaints.append(message)


def left():
    """Return the number of unclosed resources that were collected."""
    gc.collect()
    return len(complaints)
'''
_ERRORS: Final = '''\
complaints = []


def left():
    """Return the errors that were reported to the loop."""
    gc.collect()
    return complaints
'''
_LEFT: Final = {
    Category.DESCRIPTOR: (_OPEN, "contextlib os"),
    Category.TRANSPORT: (_OPEN, "contextlib os"),
    Category.TASK: (_TASKS, ""),
    Category.THREAD: (_THREADS, "threading"),
    Category.PROCESS: (_PROCESSES, "glob pathlib"),
    Category.COLLECTED: (_WARNINGS, "gc warnings"),
    Category.DROPPED: (_WARNINGS, "gc warnings"),
    Category.CLEANUP: (_ERRORS, "gc"),
}
"""The code that finds leftovers of a category, and the modules that it needs."""

_NTH_WAIT: Final = '''\
async def nth_wait(task, number):
    """Let the loop run until the task waits for the number-th time; return the awaited future."""
    last = None
    while not task.done():
        await asyncio.sleep(0)
        waits_for = task._fut_waiter  # None at a bare yield, as in sleep(0)
        number -= waits_for is None or waits_for is not last
        if number == 0:
            return waits_for
        last = waits_for
    raise SystemExit("the task ended before that wait")
'''
_STARTED: Final = '''\
async def started(name):
    """Let the loop run until a task of that function waits; return the task."""
    while True:
        for task in asyncio.all_tasks():
            if task.get_coro().__qualname__.endswith(name) and task.get_coro().cr_await:
                return task
        await asyncio.sleep(0)
'''
_ENTERED: Final = """\
async def entered(made):
    if not hasattr(made, "__aenter__"):
        return await made
    async with made:
        await asyncio.sleep(0)
"""
_WITHIN: Final = """\
async def within(limit, scenario):
    {async_}with limit:
        await scenario
"""
_AT_REST: Final = """\
task = victim = waits_for = None  # else an exception would keep its frames alive
for _ in range(10):
    await asyncio.sleep(0)
await asyncio.sleep(0.3)
"""
_USED_AGAIN: Final = """\
try:
    async with asyncio.timeout({timeout:g}):
        {probe}
except Exception as error:
    return f"used again, it raised {{error!r}}"
return "it can be used again"
"""
_SCRIPT: Final = """\
if __name__ == "__main__":
    expected = {expected}
    seen = asyncio.run(main(cancelled=True))
    print("expected:", expected)
    print("seen:", seen)
    sys.exit(seen != expected)
"""
_TEST: Final = """\
def test_{name}():
    expected = {expected}
    assert asyncio.run(main(cancelled=True)) == expected
"""
_HELPERS: Final = ("complaints", "entered", "left", "main", "nth_wait", "started", "within")

_PART: Final = "\0"  # around a placeholder for a name of the user's module

_CONSTANT: Final = {
    Category.HANG: '"it ended"',
    Category.SWALLOWED: '"it was cancelled"',
    Category.STARVATION: '"all waiters were woken"',
    Category.SLOT: '"it can be used again"',
    Category.WRONG_ANSWER: '"it can be used again"',
    Category.CLEANUP: "[]",
}
"""The expected result, if it does not depend on a run without a cancellation."""

_HOW: Final = {
    Delivery.EARLY: "while the awaited result is pending",
    Delivery.LATE: "when the awaited result has just arrived",
    Delivery.ANYIO: "by an anyio scope around it",
    Delivery.TIMEOUT: "by a timeout around it",
    Delivery.ERROR: "not cancelled: the wait fails with an error",
    Delivery.ORDER: "not cancelled: its tasks run in another order",
}


@final
@dataclass(frozen=True, slots=True)
class Program:
    """A program, without the note in its docstring.

    Attributes:
        record: the record of the audit.
        finding: the finding that it shows.
        scenario: the audited scenario.
        excerpt: the code of the scenario.
        looks_late: whether it looks for leftovers only after the environment is closed.
    """

    record: AuditRecord
    finding: Finding
    scenario: Scenario
    excerpt: Excerpt
    looks_late: bool = False

    def script(self, note: str) -> str:
        """Return it as a script, which prints its result and exits with 1 if it has the finding."""
        return self._whole(note, _SCRIPT.format(expected=self._expected), "sys")

    def test(self, note: str) -> str:
        """Return it as a test for pytest, which fails as long as it has the finding."""
        name = f"{re.sub(r'[^a-z]', '_', self._kind)}_{self.finding.key}"
        return self._whole(note, _TEST.format(name=name, expected=self._expected), "")

    def _whole(self, note: str, last: str, modules: str) -> str:
        blocks = [*self._definitions(), self._main(), last]
        ours = "\n\n\n".join(block.rstrip() for block in blocks)
        for helper in _HELPERS:
            if helper in self.excerpt.names:
                ours = re.sub(rf"\b{helper}\b", f"{helper}_", ours)
        for part, name in self.excerpt.parts.items():
            ours = ours.replace(f"{_PART}{part}{_PART}", name)
        code = "\n\n\n".join(filter(None, (self.excerpt.code, ours)))
        modules = f"asyncio {modules} {_LEFT.get(self._kind, ('', ''))[1]}"
        modules += " contextlib" * ("contextlib." in self.excerpt.code)
        modules += " anyio" * (self.finding.delivery is Delivery.ANYIO)
        modules += " errno" * (self.finding.delivery is Delivery.ERROR)
        imports = {*(f"import {each}" for each in modules.split()), *self.excerpt.imports}
        ordered = sorted(imports, key=lambda line: (line.startswith("from"), line))
        top = [f'"""{self._title(note)}"""', "", "from __future__ import annotations", ""]
        return "\n".join([*top, *ordered, "", "", code]) + "\n"

    @property
    def _kind(self) -> Category:
        """The category that determines how to find the leftover."""
        category = self.finding.category
        is_silent = self.finding.evidence.endswith(", until garbage is collected")
        if category is Category.COLLECTED and is_silent:
            return Category.DESCRIPTOR  # there is no warning about it
        return category

    def _title(self, note: str) -> str:
        finding = self.finding
        headline = f"{finding.category}: {finding.evidence}"
        place = Places().of(finding.suspension.site)
        at = f"Cancelled at {place}, {_HOW[finding.delivery]}."
        by = f"Found by {self.record.replay(finding.address)} with {self.record.python}."
        lines = [headline, "", at, by, *note.splitlines()]
        text = shortened("\n".join(map(printable, lines)))
        return text.replace("\\", "\\\\").replace('"', "'") + "\n"

    @property
    def _expected(self) -> str:
        return _CONSTANT.get(self._kind, "asyncio.run(main(cancelled=False))")

    def _definitions(self) -> Iterator[str]:
        delivery = self.finding.delivery
        if self._kind in _LEFT:
            yield _LEFT[self._kind][0]
        if not is_awaited(self.scenario.run):
            yield _ENTERED
        if delivery in {Delivery.TIMEOUT, Delivery.ANYIO}:
            yield _WITHIN.format(async_="async " if delivery is Delivery.TIMEOUT else "")
        yield _NTH_WAIT
        if self._child:
            yield _STARTED

    def _main(self) -> str:
        body = "\n".join(self._steps())
        if self.scenario.setup is not None:
            body = f"async with {self._call('setup')} as environment:\n{indent(body, '    ')}"
        if self._kind is Category.STARVATION:
            body = f"try:\n{indent(body, '    ')}\nexcept TimeoutError as error:\n"
            body += '    return str(error)\nreturn "all waiters were woken"'
        elif self.looks_late:
            body += "\nreturn left()"
        if self._kind in {Category.COLLECTED, Category.DROPPED, Category.CLEANUP}:
            body = f"complaints.clear()\n{body}"
        if self._kind is Category.CLEANUP:
            hear = "loop.set_exception_handler(lambda _, what: complaints.append(str(what)))"
            body = f"loop = asyncio.get_running_loop()\n{hear}\n{body}"
        return f"async def main(*, cancelled):\n{indent(body, '    ')}"

    def _steps(self) -> Iterator[str]:
        delivery = self.finding.delivery
        run = self._call("run")
        run = run if is_awaited(self.scenario.run) else f"entered({run})"
        if delivery in {Delivery.TIMEOUT, Delivery.ANYIO}:
            yield f"limit = {_LIMITS[delivery]}"
            run = f"within(limit, {run})"
        yield f"task = asyncio.create_task({run})"
        yield "if cancelled:"
        yield from (f"    {line}" for line in self._strikes())
        yield f"await asyncio.wait([task], timeout={self.record.timeout:g})"
        yield self._conclusion()

    def _strikes(self) -> Iterator[str]:
        delivery, victim = self.finding.delivery, "task"
        if self._child:
            victim = "victim"
            yield f'victim = await started("{self._child}")'
        for index, number in enumerate(self._numbers):
            yield f"waits_for = await nth_wait({victim}, {number})"
            if delivery is Delivery.LATE:
                yield "while waits_for is not None and not waits_for.done():"
                yield "    await asyncio.sleep(0)"
            elif delivery is not Delivery.ERROR:
                yield "if waits_for is not None:  # a task that it has just started may begin"
                yield "    await asyncio.sleep(0)"
            if index == 0 and delivery is Delivery.TIMEOUT:
                yield "limit.reschedule(asyncio.get_running_loop().time())"
            elif index == 0 and delivery is Delivery.ANYIO:
                yield "limit.cancel()"
            elif delivery is Delivery.ERROR:
                yield 'waits_for.set_exception(OSError(errno.EIO, "it fails"))'
            else:
                yield f"{victim}.cancel()"

    def _conclusion(self) -> str:
        match self._kind:
            case Category.HANG:
                return 'return "it ended" if task.done() else "it does not end"'
            case Category.SWALLOWED:
                return 'return "it was cancelled" if task.cancelled() else "it was not cancelled"'
            case Category.STARVATION:
                return "# the end of the setup checks that the task behind is woken"
            case Category.SLOT | Category.WRONG_ANSWER:
                probe = self._call("probe")
                enter = f"await {probe}"
                if not is_awaited(self.scenario.probe):
                    enter = f"await entered({probe})"
                return _USED_AGAIN.format(timeout=self.record.timeout, probe=enter).rstrip()
            case Category.CLEANUP:
                seen = "if task.done() and not task.cancelled() and task.exception():\n"
                seen += "    complaints.append(repr(task.exception()))\n"
                return seen + _AT_REST + ("" if self.looks_late else "return left()")
            case _:
                return _AT_REST + ("" if self.looks_late else "return left()")

    def _call(self, part: str) -> str:
        has_setup = self.scenario.setup is not None and part != "setup"
        takes = has_setup and takes_argument(getattr(self.scenario, part))
        return f"{_PART}{part}{_PART}({'environment' if takes else ''})"

    @property
    def _child(self) -> str:
        """The function of the cancelled task, if it is not the scenario's own."""
        task = self.finding.suspension.task
        if task == "scenario":
            return ""
        return task.rpartition("(")[2].rstrip(")").rpartition(".")[2]

    @property
    def _numbers(self) -> list[int]:
        """The number of waits of that task from one cancellation to the next."""
        first, *later = map(int, self.finding.address.partition(":")[0].split("+"))
        task = self.finding.suspension.task
        of_task = [each.ordinal for each in self.record.suspensions if each.task == task]
        return [of_task.index(first) + 1 if first in of_task else first, *later]


_LIMITS: Final = {Delivery.TIMEOUT: "asyncio.timeout(None)", Delivery.ANYIO: "anyio.CancelScope()"}
