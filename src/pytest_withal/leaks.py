"""The option ``--withal-leaks``: fails tests that leak resources that they or fixtures opened."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, final

import pytest

from pytest_withal.marker import MARKER
from withal.ledger import Ledger
from withal.tracking.formats.text import leaks_report
from withal.tracking.owners import Owners
from withal.tracking.session import TrackingSession
from withal.tracking.verdict import Leak

_first = pytest.hookimpl(wrapper=True, tryfirst=True)


@final
class LeakCheck:
    """Follows the resources of this process, and checks each test at its end.

    Unclosed resources that nothing refers to any more fail the test itself. A fixture may still
    close the others, so they are checked after the fixtures were torn down.
    """

    def __init__(self) -> None:
        self._session = TrackingSession(Ledger(keep_closed=0))
        try:
            self._session.start()
        except RuntimeError as exc:
            raise pytest.UsageError(f"--withal-leaks: {exc}") from exc
        # pytest and its callers are not the openers of resources that a test opens.
        self._session.book.program.add_barrier(pytest.CallInfo.from_call.__func__.__code__)  # type: ignore[attr-defined]
        self._owners = Owners(self._session)
        self._finished: list[pytest.FixtureDef[Any]] = []
        self._is_judged = False

    def pytest_unconfigure(self) -> None:
        """Remove the patches."""
        self._session.stop()

    @_first
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Make the test the current owner."""
        self._owners.begin(item)
        self._finished.clear()
        self._is_judged = False
        yield
        self._is_judged = True

    @_first
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Make a fixture of several tests the owner of the resources that it opens."""
        if fixturedef.scope == "function":
            return (yield)

        def value() -> object:
            result = fixturedef.cached_result
            return None if result is None else result[0]

        self._owners.enter(fixturedef, value)
        try:
            return (yield)
        finally:
            self._owners.leave()

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Record that a fixture was torn down, so that its leaks can be checked."""
        if fixturedef.scope != "function" and fixturedef not in self._finished:
            self._finished.append(fixturedef)

    @_first
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test for unclosed resources that have ended."""
        self._is_judged = False  # not if it fails: its traceback refers to many objects
        result = yield
        self._is_judged = True
        leaks = _not_allowed(self._owners.leaks_that_ended(item), item)
        if leaks:
            pytest.fail(_described("this test", leaks), pytrace=False)
        return result

    @_first
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test for resources that its fixtures have not closed either."""
        result = yield
        problems: list[str] = []
        leaks = _not_allowed(self._owners.leaks(item), item)
        if leaks and self._is_judged:
            problems.append(_described("this test and its fixtures", leaks))
        for fixture in self._finished:
            leaks = _not_allowed(self._owners.leaks(fixture), item)
            if leaks:
                who = f"the {fixture.scope}-scoped fixture {fixture.argname!r}"
                problems.append(_described(who, leaks))
        self._owners.keep_claims()
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)
        return result


def _described(who: str, leaks: Sequence[Leak]) -> str:
    more = f" and {len(leaks) - 1} more" if len(leaks) > 1 else ""
    return f"{who} leaked at {leaks[0]}{more}\n{leaks_report(leaks)}"


def _not_allowed(leaks: Iterable[Leak], item: pytest.Item) -> list[Leak]:
    names: set[str] = set(item.config.getini(MARKER))
    for mark in item.iter_markers(MARKER):
        if not mark.args:
            return []
        names |= set(mark.args)
    return [leak for leak in leaks if not names & {leak.kind, leak.type_name, leak.ending.value}]
