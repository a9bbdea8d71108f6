"""One scenario as a pytest item."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Optional, Union

import pytest

from harness.errors import DataUnavailable, HarnessError
from harness.plugin.progress import Progress
from harness.plugin.settings import is_quiet, run_options, setting
from harness.report.tables import verdict_table
from harness.results import Result
from harness.run import run
from harness.runtime.imports import be_loud
from harness.scenario import Case


class ExpectationsFailed(Exception):
    """At least one expectation of a scenario does not hold, or the training diverged."""

    def __init__(self, result: Result) -> None:
        super().__init__(describe(result))
        self.result = result


class ScenarioItem(pytest.Item):
    """Runs one scenario and judges it; `result` is set once it has run."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.result: Optional[Result] = None
        for tag in case.scenario.tags:
            self.add_marker(tag)

    def runtest(self) -> None:
        if not is_quiet(self.config):
            be_loud()
        options = run_options(self.config)
        scenario = self.case.scenario
        with _importable(self.path.parent, self.config.rootpath, self.config.invocation_params.dir):
            with Progress(self.config, self.case.id, scenario, options) as progress:
                try:
                    self.result = run(
                        scenario, options, variant=self.case.variant, on_round=progress.on_round
                    )
                except DataUnavailable as missing:
                    if setting(self.config, "strict"):
                        raise
                    self.result = Result(
                        id=self.case.id,
                        settings=scenario.settings(),
                        status="skipped",
                        reason=str(missing),
                    )
                    pytest.skip(str(missing))
        for name, value in measurements(self.result).items():
            self.user_properties.append((name, value))
        if self.result.status in ("failed", "diverged"):
            raise ExpectationsFailed(self.result)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Union[str, Any]:
        if isinstance(excinfo.value, (ExpectationsFailed, HarnessError)):
            file, line, _ = self.reportinfo()
            return f"{file}:{line}: {self.name}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.case.line, self.name


class _importable:
    """Lets ``keras: "module:function"`` find modules beside the scenario file."""

    def __init__(self, *folders: Path) -> None:
        self._added = [str(f) for f in dict.fromkeys(folders) if str(f) not in sys.path]

    def __enter__(self) -> None:
        sys.path[:0] = self._added

    def __exit__(self, *_: object) -> None:
        for folder in self._added:
            if folder in sys.path:
                sys.path.remove(folder)


def describe(result: Result) -> str:
    """Why a scenario failed: all expectations in one table."""
    if result.status == "diverged":
        return result.reason
    return verdict_table(result, "simple")


def measurements(result: Result) -> dict[str, Any]:
    """Figures for JUnit's properties."""
    found: dict[str, Any] = {"fed_status": result.status}
    for verdict in result.verdicts:
        found[f"fed_{verdict.expectation}"] = verdict.measured
    return found
