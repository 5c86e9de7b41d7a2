"""The option ``--withal-leaks``: a test fails that leaks what it or its fixtures have opened."""

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
    """Follows what is opened in this process, and judges each test when it is over.

    What a test has opened and nothing refers to any more fails the test itself. What is still open
    then may be closed by a fixture, and is judged when those are torn down.
    """

    def __init__(self) -> None:
        self._session = TrackingSession(Ledger(keep_closed=0))
        try:
            self._session.start()
        except RuntimeError as exc:
            raise pytest.UsageError(f"--withal-leaks: {exc}") from exc
        # pytest itself, and what has started it, are not what opens something below.
        self._session.book.program.add_barrier(pytest.CallInfo.from_call.__func__.__code__)  # type: ignore[attr-defined]
        self._owners = Owners(self._session)
        self._finished: list[pytest.FixtureDef[Any]] = []
        self._is_judged = False

    def pytest_unconfigure(self) -> None:
        """Put back what was replaced."""
        self._session.stop()

    @_first
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Begin with a test."""
        self._owners.begin(item)
        self._finished.clear()
        self._is_judged = False
        yield
        self._is_judged = True

    @_first
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Make a fixture of several tests the owner of what it opens."""
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
        """Note that a fixture is over, and can close nothing more."""
        if fixturedef.scope != "function" and fixturedef not in self._finished:
            self._finished.append(fixturedef)

    @_first
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test for what is over and was not closed."""
        self._is_judged = False  # if it fails otherwise: its traceback refers to much
        result = yield
        self._is_judged = True
        leaks = _not_allowed(self._owners.leaks_that_ended(item), item)
        if leaks:
            pytest.fail(_told("this test", leaks), pytrace=False)
        return result

    @_first
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test for what its fixtures have not closed either."""
        result = yield
        told: list[str] = []
        leaks = _not_allowed(self._owners.leaks(item), item)
        if leaks and self._is_judged:
            told.append(_told("this test and its fixtures", leaks))
        for fixture in self._finished:
            leaks = _not_allowed(self._owners.leaks(fixture), item)
            if leaks:
                told.append(_told(f"the {fixture.scope}-scoped fixture {fixture.argname!r}", leaks))
        self._owners.keep_claims()
        if told:
            pytest.fail("\n".join(told), pytrace=False)
        return result


def _told(who: str, leaks: Sequence[Leak]) -> str:
    more = f" and {len(leaks) - 1} more" if len(leaks) > 1 else ""
    return f"{who} leaked at {leaks[0]}{more}\n{leaks_report(leaks)}"


def _not_allowed(leaks: Iterable[Leak], item: pytest.Item) -> list[Leak]:
    names: set[str] = set(item.config.getini(MARKER))
    for mark in item.iter_markers(MARKER):
        if not mark.args:
            return []
        names |= set(mark.args)
    return [leak for leak in leaks if not names & {leak.kind, leak.type_name, leak.ending.value}]
