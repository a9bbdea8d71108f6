"""One scenario as a pytest item.

What runs it is imported only then, so that scenarios are collected and checked faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Optional, Union

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from pytest_federated.core.errors import FederatedError
from pytest_federated.plugin.baselines import settle
from pytest_federated.plugin.options import run_options
from pytest_federated.plugin.progress import ProgressBar
from pytest_federated.report.export import properties
from pytest_federated.results.record import Result, Status
from pytest_federated.running.plan import Plan, plan
from pytest_federated.scenario.blame import place_of_error
from pytest_federated.scenario.case import Case
from pytest_federated.user.functions import blamed
from pytest_federated.user.installed import add_scenario_folder
from pytest_federated.user.modules import own_folders


def unreached(case: Case) -> Result:
    """Returns the result of a scenario that was collected and has not ended."""
    return Result(
        id=case.id,
        settings=case.scenario.settings(),
        matrix=dict(case.matrix),
        status="not reached",
        reason="the session ended before it did",
    )


class Variant:
    """What reporters read of a parametrized test in its `callspec`, of a variant of a matrix."""

    def __init__(self, variant: str) -> None:
        self.id, self.params = variant, {"variant": variant}
        self.indices: dict[str, int] = {}  # pytest has no fixtures to set up for it


class ScenarioItem(pytest.Item):
    """Runs one scenario and judges it; `result` is set once it has run."""

    cls = None  # pytest reads the class of what has a callspec

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # pyright: ignore[reportUnknownMemberType]  # **kw
        self.case = case
        self.result: Optional[Result] = None
        if case.variant:
            self.callspec = Variant(case.variant)
        add_scenario_folder(self.path.parent)
        for tag in case.scenario.tags:
            self.add_marker(tag)

    def _user_folders(self) -> AbstractContextManager[None]:
        return own_folders(
            self.path.parent, self.config.rootpath, self.config.invocation_params.dir
        )

    @cached_property
    def plan(self) -> Plan:
        """The trainings that the scenario needs under this session's options."""
        return plan(self.case, run_options(self.config))

    def submit(self) -> None:
        """Submits the trainings of this scenario to the session's cluster."""
        from pytest_federated.running.pipeline import submit

        with self._user_folders():
            submit(self.plan, run_options(self.config))

    def runtest(self) -> None:
        from pytest_federated.plugin.execution import enforce, execute, needs_all_rounds, strictly

        with self._user_folders():
            with ProgressBar(self.config, self.plan) as progress:
                self.result = execute(self.config, self.plan, progress)
            settled = settle(self.config, self.result, self.path, self._rerun)
        self.result = strictly(self.config, settled.result)
        self.user_properties += settled.properties
        self.user_properties += [(f"fed_{k}", v) for k, v in properties(self.result).items()]
        self.user_properties.append(("fed_trainings", self.result.trainings))
        self.user_properties.append(("fed_reused_trainings", self.result.reused))
        if self.result.status != "skipped" and (why := needs_all_rounds(self.config, self.plan)):
            self.user_properties.append(("fed_all_rounds", why))
        enforce(self.config, self.result)

    def _rerun(self, seeds: Sequence[int]) -> Result:
        """Runs the scenario on other seeds."""
        from pytest_federated.running.pipeline import run_plan

        planned = self.plan.with_seeds(seeds)
        with ProgressBar(self.config, planned) as progress:
            return run_plan(planned, run_options(self.config), [progress])

    def result_of(
        self, report: pytest.TestReport, error: Optional[BaseException]
    ) -> Optional[Result]:
        """Returns the result after a phase of the item; None if another phase decides.

        There is a result whatever ends the item: any error, a skip, or an exit in the user's code.
        """
        from pytest_federated.plugin.execution import ExpectationsFailed

        if report.when == "setup" and report.passed:
            return None
        if report.when == "teardown" and not report.failed:
            return None
        if error is None or isinstance(error, ExpectationsFailed):
            return self.result
        if isinstance(error, pytest.skip.Exception):
            if self.result is not None and self.result.status == "skipped":
                return self.result
            return self._result_as("skipped", str(error.msg or "skipped"))
        return self._result_as(
            "errored", str(error) if isinstance(error, FederatedError) else blamed(error)
        )

    def _result_as(self, status: Status, message: str) -> Result:
        """Returns the result, with any figures that it has, under another outcome."""
        result = self.result or unreached(self.case)
        for folder in (self.config.rootpath, self.config.invocation_params.dir, Path.home()):
            message = message.replace(f"{folder}/", "")  # records are the same on all machines
        reason = message.strip().partition("\n")[0]
        return result.model_copy(update={"status": status, "reason": reason})

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Union[str, Any]:
        from pytest_federated.plugin.execution import ExpectationsFailed, shown

        if isinstance(excinfo.value, (ExpectationsFailed, FederatedError)):
            error = excinfo.value
            is_mistake = isinstance(error, FederatedError)
            text = shown(error, self.config) if is_mistake else str(error)
            summary, _, table = text.partition("\n")
            line, place = self.case.line, f"line {self.case.line}"
            if is_mistake:
                line, place = place_of_error(error, self.case)
            text = f"{summary}\n{self.nodeid} ({place})\n{table}".rstrip()
            return self._representation(summary, text, line)
        return super().repr_failure(excinfo, style)

    def _representation(self, summary: str, text: str, line: int) -> ReprExceptionInfo:
        """Returns a text whose first line alone is in the short summary, with -vv and in CI, too.

        Of a plain string pytest shows all lines there; only what its own classes hold comes
        through xdist.
        """
        return ReprExceptionInfo(
            reprcrash=ReprFileLocation(str(self.path), line, summary),
            reprtraceback=ReprTraceback([ReprEntryNative([text, "\n"])], None, "native"),
        )

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.case.line - 1, self.name  # counted from 0
