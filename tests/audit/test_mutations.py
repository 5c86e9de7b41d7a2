"""The audit tells programs with a planted bug from the same programs mended, however cancelled."""

from __future__ import annotations

import linecache
from functools import partial

import pytest

from tests.audit import mutants
from tests.audit.mutants import MUTANTS, Mutant
from tests.conftest import LOOPS
from withal.audit import Category, Delivery, Finding, Report, Verdict, audit


def audited(mutant: Mutant, loop: str, *, mended: bool) -> Report:
    """Audit without waiting long for what never ends, and clear away what is left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("withal.audit.inspect.settle._SETTLE_SECONDS", mutant.rest)
        patch.setattr("withal.audit.fixtures.contention._STARVATION_SECONDS", 0.1)
        try:
            return audit(
                partial(mutant.run, mended),
                setup=None if mutant.setup is None else partial(mutant.setup, mended),
                probe=mutant.probe,
                deliveries=Delivery,
                depth=mutant.depth,
                loop_factory=LOOPS[loop],
                timeout=5 if mended else mutant.timeout,
            )
        finally:
            mutants.clear()


def is_here(finding: Finding) -> bool:
    return any(
        mutants.HERE in linecache.getline(site.file, site.line) for site in finding.suspension.chain
    )


def name_of(mutant: Mutant) -> str:
    return f"{mutant.run.__name__}-{mutant.depth}"


every_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
every_loop = pytest.mark.parametrize("loop", LOOPS)


@pytest.mark.slow  # what is left behind is waited for
@every_loop
@every_mutant
def test_a_planted_bug_is_found_where_it_is_and_named(mutant: Mutant, loop: str) -> None:
    report = audited(mutant, loop, mended=False)
    print(report)
    assert report.verdict is Verdict.UNSAFE
    named = {each.delivery for each in report.findings if each.category is mutant.category}
    assert named == mutant.shows
    assert {each.delivery for each in report.findings} == mutant.shows
    assert {each.category for each in report.findings} <= {mutant.category} | mutant.also
    assert {each.delivery for each in report.findings if is_here(each)} == mutant.shows
    # An anyio scope cancels again at each turn, and so has done its harm here also when it was
    # cancelled at an earlier wait.
    elsewhere = [each for each in report.findings if not is_here(each)]
    assert {each.delivery for each in elsewhere} <= {Delivery.ANYIO}
    assert not any(each.unresolved for each in report.attempts)


@every_loop
@every_mutant
def test_the_same_mended_is_safe(mutant: Mutant, loop: str) -> None:
    report = audited(mutant, loop, mended=True)
    print(report)
    assert report.verdict is Verdict.SAFE
    tried = {each.delivery for each in report.attempts}
    assert tried >= mutant.shows


def test_there_is_a_planted_bug_of_each_category_and_for_each_delivery() -> None:
    assert {each.category for each in MUTANTS} == set(Category)
    assert frozenset[Delivery]().union(*(each.shows for each in MUTANTS)) == set(mutants.EVERY)
