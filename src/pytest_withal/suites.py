"""The option ``--audit``: audits each asynchronous test, with its fixtures as the setup."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias, final

import pytest

from pytest_withal.fixtures import NotAuditedError, SuiteEnvironment
from withal.audit import Report, Scenario, ScenarioError, Verdict, audit
from withal.audit.report import text
from withal.audit.report.accepted import Accepted

_Function: TypeAlias = Callable[..., Any]

_first = pytest.hookimpl(tryfirst=True)


@final
class SuiteAudit:
    """Audits each asynchronous test instead of running it.

    The functions of its fixtures are called again for each attempt, in the loop of the attempt.
    Fixtures that several tests share, and those of pytest, are set up once, as usual.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._environments: dict[pytest.Item, SuiteEnvironment] = {}
        accept: str | None = config.getoption("--audit-accept")
        try:
            self._accepted = None if accept is None else Accepted.read(Path(accept))
        except ScenarioError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect the tests that are not asynchronous, since they cannot be cancelled."""
        kept = [item for item in items if _function_of(item) is not None]
        left_out = [item for item in items if _function_of(item) is None]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = kept

    @_first
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Let pytest set up only the fixtures that all attempts share."""
        assert isinstance(item, pytest.Function)
        environment = self._environments[item] = SuiteEnvironment(item)
        item.fixturenames = environment.shared

    @_first
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object:
        """Audit a test."""
        __tracebackhide__ = True
        environment = self._environments.pop(pyfuncitem)
        function = _function_of(pyfuncitem)
        assert function is not None
        try:
            environment.check()
            report = self._report(pyfuncitem, function, environment)
        except NotAuditedError as why:
            pytest.skip(f"not audited: {why}")
        except (ScenarioError, ValueError) as error:
            pytest.fail(str(error), pytrace=False)
        if self._accepted is not None:
            report = self._accepted.applied(report)
        self._judge(report)
        return True

    def _judge(self, report: Report) -> None:
        __tracebackhide__ = True
        if report.verdict is Verdict.UNRESOLVED:
            pytest.skip(f"unresolved: {' '.join(report.reason.split()) or 'see a single audit'}")
        if report.verdict is not Verdict.SAFE:
            is_replay = self._config.getoption("--audit-at") and report.attempts
            shown = text.render_attempt(report, report.attempts[0]) if is_replay else str(report)
            pytest.fail(shown, pytrace=False)

    def _report(
        self, item: pytest.Function, function: _Function, environment: SuiteEnvironment
    ) -> Report:
        config, max_time = self._config, self._config.getoption("--audit-max-time")
        deliveries = config.getoption("--audit-deliveries")
        more = {} if deliveries is None else {"deliveries": deliveries.split(",")}
        return audit(
            _scenario(item, function, environment),
            depth=config.getoption("--audit-depth") or 1,
            at=config.getoption("--audit-at"),
            max_time=max_time,
            command=f"pytest {shlex.quote(item.nodeid)} --audit --audit-at",
            **more,
        )


def _function_of(item: pytest.Item) -> _Function | None:
    """Return the coroutine function of a test; None if it has none or is a unittest method."""
    if not isinstance(item, pytest.Function) or hasattr(item, "_testcase"):
        return None
    if type(item).__module__ == "_pytest.unittest":
        return None
    function = inspect.unwrap(item.obj)
    return function if inspect.iscoroutinefunction(function) else None


def _scenario(
    item: pytest.Function, function: _Function, environment: SuiteEnvironment
) -> Scenario:
    @asynccontextmanager
    async def fixtures() -> AsyncGenerator[dict[str, object]]:
        async with environment.fresh() as values:
            yield values

    async def run(values: dict[str, object]) -> None:
        plain = getattr(function, "__func__", function)
        instance = environment.instance
        bound = plain if instance is None else plain.__get__(instance)
        await bound(**values)

    # Code in the file of the test counts as the scenario's own.
    run.__wrapped__ = function  # type: ignore[attr-defined]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("values", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    return Scenario(run, fixtures, name=item.name)
