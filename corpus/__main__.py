"""Audits the corpus, and prints for each version of each package what came of it.

    python -m corpus [WORD ...]

With words only the cases that have one of them in their name. The exit status is 1 if something is
not as expected. What the machine lacks is skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from rich.console import Console

import withal
from corpus.running.audits import Outcome, audited
from corpus.running.environments import environment, make_ready
from corpus.running.failures import MissingError, PreparationError
from corpus.running.servers import SERVERS
from corpus.running.shown import line_of, table_of
from corpus.table import Case, chosen


async def outcome_of(case: Case, scope: withal.Scope, console: Console) -> Outcome:
    """Prepare what a case needs, in a scope that keeps the servers for the next, and audit it."""
    try:
        with console.status(f"{case.subject}: preparing"):
            variables: Mapping[str, str] = {}
            if case.service is not None:
                variables = await scope.open(SERVERS[case.service])
            folder = await environment(case)
        with console.status(f"{case.subject}: auditing {case.scenario}"):
            return await audited(case, folder, variables)
    except MissingError as error:
        return Outcome(case, note=str(error), skipped=True)
    except PreparationError as error:
        return Outcome(case, note=str(error))


async def main(words: tuple[str, ...]) -> int:
    """Audit the cases that the words choose; return the exit status."""
    console = Console()
    cases = chosen(words)
    if not cases:
        console.print(f"no case has {' or '.join(words)} in its name", style="red")
        return 2
    outcomes: list[Outcome] = []
    with console.status(f"{len(cases)} cases: making what environments there are not yet"):
        await make_ready(cases)
    async with withal.Scope("corpus") as scope:
        for case in cases:
            outcomes.append(await outcome_of(case, scope, console))
            console.print(f"{len(outcomes)}/{len(cases)} {line_of(outcomes[-1])}")
    console.print(table_of(outcomes))
    return 0 if all(each.as_expected or each.skipped for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(withal.run(main(tuple(sys.argv[1:]))))
