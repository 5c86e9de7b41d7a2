"""Tries each finding, and audits again what was found safe; prints a table.

    python -m findings [--newest] [WORD ...]

With words, only the entries that have one of them in their name or library. `--newest` installs the
newest releases that pip finds, in place of those in the table. The exit status is 1 if something is
not as the table says. What the machine lacks is skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from corpus.running.environments import environment, make_ready
from corpus.running.failures import MissingError, PreparationError
from corpus.running.servers import SERVERS
from rich.console import Console

import withal
from findings.shown import line_of, table_of
from findings.table import chosen
from findings.trial import Result, Trial, trials_of, tried


async def result_of(trial: Trial, scope: withal.Scope) -> Result:
    """Prepare what a trial needs, in a scope that keeps the servers for the next, and make it."""
    try:
        variables: Mapping[str, str] = {}
        if trial.case.service is not None:
            variables = await scope.open(SERVERS[trial.case.service])
        folder = await environment(trial.case)
        return await tried(trial, folder, variables)
    except MissingError as error:
        return Result(trial, note=str(error), skipped=True)
    except PreparationError as error:
        return Result(trial, note=str(error))


async def main(arguments: tuple[str, ...]) -> int:
    """Try the entries that the words choose; return the exit status."""
    console = Console()
    newest = "--newest" in arguments
    words = tuple(word for word in arguments if word != "--newest")
    trials = [trial for subject in chosen(words) for trial in trials_of(subject)]
    if not trials:
        console.print(f"no entry has {' or '.join(words)} in its name or library", style="red")
        return 2
    if newest:
        trials = [trial.of_newest() for trial in trials]
    results: list[Result] = []
    with console.status(f"{len(trials)} trials: making the environments that are missing"):
        await make_ready(trial.case for trial in trials)
    async with withal.Scope("findings") as scope:
        for trial in trials:
            with console.status(f"{trial.subject.library}: {trial.subject.name}"):
                results.append(await result_of(trial, scope))
            console.print(f"{len(results)}/{len(trials)} {line_of(results[-1])}")
    console.print(table_of(results))
    return 0 if all(each.as_expected or each.skipped for each in results) else 1


if __name__ == "__main__":
    sys.exit(withal.run(main(tuple(sys.argv[1:]))))
