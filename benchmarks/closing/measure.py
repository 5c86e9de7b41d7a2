"""One contender put through the scenario, each time in an event loop of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.closing.contender import Contender, Use
from benchmarks.closing.scenario import NAMES, Event, Log, Services, Step

PAUSE = 0.05
LIMIT = 2.0  # seconds that one run may take; the longest that is in order takes 0.3

Outcome = BaseException | None


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of one contender, as it is shown."""

    name: str
    version: str
    after_one: str = "-"
    after_five: str = "-"
    in_parallel: str = "-"
    all_or_nothing: str = "-"
    same_task: str = "-"


@dataclass(frozen=True, slots=True)
class Run:
    """What the library raised, if anything, and what the resources wrote down until all was still.

    Attributes:
        outcome: a TimeoutError of ours if the library did not come back.
    """

    outcome: Outcome
    events: tuple[Event, ...]

    def positions(self, step: Step) -> list[int]:
        return [at for at, each in enumerate(self.events) if each.step is step]

    def count(self, step: Step) -> int:
        return len(self.positions(step))


def measure(contender: Contender, pause: float = PAUSE) -> Row:
    """Run all the scenarios, which takes some 20 pauses at most."""
    use = contender.use
    return Row(
        contender.name,
        contender.version,
        after_one=_closed(_run(use, Services(Log(), pause), cancellations=1)),
        after_five=_closed(_run(use, Services(Log(), pause), cancellations=5)),
        in_parallel=_in_parallel(_run(use, Services(Log(), pause))),
        all_or_nothing=_all_or_nothing(_run(use, Services(Log(), pause, refusing="cache"))),
        same_task=_same_task(_run(use, Services(Log(), pause, scoped=True))),
    )


def _closed(run: Run) -> str:
    """Tell how many had closed when the library gave control back."""
    returned = run.positions(Step.RETURNED) or [len(run.events)]
    closed = sum(at < returned[0] for at in run.positions(Step.CLOSED))
    count = f"{closed} of {len(NAMES)}"
    if isinstance(run.outcome, asyncio.CancelledError):
        return count
    return f"{count}, {_name(run.outcome) or 'cancellation lost'}"


def _in_parallel(run: Run) -> str:
    """Tell whether all began to open before the first was open: in one pause, not in three."""
    if run.outcome is not None:
        return _name(run.outcome)
    return _yes(run.positions(Step.OPENING)[-1] < run.positions(Step.OPENED)[0])


def _all_or_nothing(run: Run) -> str:
    """Tell whether a refused opening is raised, without the body, and what had opened is closed."""
    left = run.count(Step.OPENED) - run.count(Step.CLOSED)
    if run.outcome is None or isinstance(run.outcome, TimeoutError):
        return _name(run.outcome) or "no, nothing raised"
    if run.count(Step.BODY):
        return "no, body ran"
    return f"no, {left} left open" if left else "yes"


def _same_task(run: Run) -> str:
    """Tell whether each was closed by the task that had opened it, so that its scope worked."""
    tasks = {(each.name, each.task) for each in run.events if each.name}
    return _name(run.outcome) or _yes(len(tasks) == run.count(Step.CLOSED) == len(NAMES))


def _name(outcome: Outcome) -> str:
    return "" if outcome is None else type(outcome).__name__


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _run(use: Use, services: Services, cancellations: int = 0) -> Run:
    with asyncio.Runner() as runner:
        return runner.run(_watch(use, services, cancellations))


async def _watch(use: Use, services: Services, cancellations: int) -> Run:
    abandoned: list[object] = []
    # A generator that the library forgets is not closed by the library: so keep the garbage
    # collector from doing it, for as long as this run is looked at.
    sys.set_asyncgen_hooks(finalizer=abandoned.append)
    task = asyncio.create_task(_use(use, services))
    services.log.when_closing = _cancelling(task, services.pause / 10, cancellations)
    await asyncio.wait({task}, timeout=LIMIT)
    await _wait_still({task})
    return Run(_outcome(task), tuple(services.log.events))


async def _use(use: Use, services: Services) -> Outcome:
    try:
        await use(services)
    except BaseException as exc:  # whatever it is, it is a finding
        return exc
    finally:
        services.log.add(Step.RETURNED)
    return None


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    if not task.done():
        return TimeoutError()
    # What puts a cancellation off may ask for it again on the very last step.
    return asyncio.CancelledError() if task.cancelled() else task.result()


def _cancelling(task: asyncio.Task[Outcome], apart: float, times: int) -> Callable[[], None]:
    """Return what cancels the task so often, beginning a while after it is called.

    Each is asked for when the one before has been delivered, however late that was.
    """
    left = times

    def wait() -> None:
        if left:
            asyncio.get_running_loop().call_later(apart, cancel)

    def cancel() -> None:
        nonlocal left
        left -= 1
        task.cancel()
        wait()

    return wait


async def _wait_still(besides: set[asyncio.Task[Outcome]]) -> None:
    """Wait for what was started and not waited for: it may yet open or close something."""
    left = asyncio.all_tasks() - {asyncio.current_task()} - besides
    if left:
        await asyncio.wait(left, timeout=LIMIT)
