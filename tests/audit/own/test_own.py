"""What withal offers is safe: cancelled at any suspension, nothing is left and nothing is lost.

``--audit-depth`` and ``--audit-deliveries`` say how far: `make test-all` cancels in every way there
is, and twice in a row.

A session and a download are cancelled once, at any depth. They clean up with a peer, which answers
now in one turn of the loop and now in the next: of 200 second cancellations one or two do not come
to the same place in a dozen runs, and the audit would be unresolved.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_withal.auditing import Auditor
from tests.audit.own import (
    leases,
    network,
    opened,
    pooled,
    scopes,
    streams,
    system,
    transfers,
    whole,
)
from tests.audit.own.case import Case
from tests.conftest import LOOPS

CASES = [
    *scopes.CASES,
    *opened.CASES,
    *pooled.CASES,
    *whole.CASES,
    *streams.CASES,
    *network.CASES,
    *transfers.CASES,
    *leases.CASES,
]
ON_ONE_LOOP = system.CASES  # a call in a thread each, in the threads that opened files use as well
TABLE = [
    *(
        pytest.param(
            case,
            loop,
            id=f"{case.scenario.name}-{loop}",
            marks=pytest.mark.skipif(bool(case.missing), reason=case.missing or "-"),
        )
        for case in CASES
        for loop in LOOPS
    ),
    *(pytest.param(case, "asyncio", id=case.scenario.name) for case in ON_ONE_LOOP),
]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with network.served(), leases.served():
        yield


@pytest.mark.slow
@pytest.mark.parametrize(("case", "loop_name"), TABLE)
def test_it_is_safe_wherever_it_is_cancelled(case: Case, loop_name: str, audit: Auditor) -> None:
    loop_factory = LOOPS[loop_name]
    if case.deep:
        audit(case.scenario, loop_factory=loop_factory)
    else:
        audit(case.scenario, loop_factory=loop_factory, depth=1)
