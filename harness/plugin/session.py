"""What concerns the session as a whole: bad files, results from all processes, the report."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

_KEY = "fed_result"
_PLACE = "fed_place"  # among the session's items


class FederatedSession:
    """Collects results, also from xdist's workers, and reports them at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results: dict[int, dict[str, Any]] = {}
        self._trainings = self._reused = 0
        self._written: Optional[str] = None
        self._other_records = 0  # in the folder of the report
        self._baselines: list[str] = []  # what was found: of which scenario: more of it

    @property
    def _is_xdist_controller(self) -> bool:
        return bool(getattr(self._config.option, "tx", None)) and not self._is_xdist_worker

    @property
    def _is_xdist_worker(self) -> bool:
        return hasattr(self._config, "workerinput")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Xdist's controller collects nothing: it looks at the files itself."""
        if self._is_xdist_controller:
            from harness.plugin.collection import check_files

            if check_files(self._config):
                self._demand_runtime()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        from harness.plugin.collection import raise_problems

        raise_problems(self._config, items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Any:
        if self._config.option.collectonly or self._is_xdist_controller:
            return (yield)
        from harness.plugin.item import ScenarioItem
        from harness.plugin.settings import setting

        items = [item for item in session.items or () if isinstance(item, ScenarioItem)]
        if items and not self._is_xdist_worker:
            self._demand_runtime()
        with contextlib.ExitStack() as leaving:
            if items and (address := setting(self._config, "executor")):
                leaving.enter_context(self._cluster(address, items))
            return (yield)

    @contextlib.contextmanager
    def _cluster(self, address: str, items: list[Any]) -> Iterator[None]:
        """Has the cluster begin with all trainings, so that each item finds its own done."""
        from harness.cluster import DaskCluster
        from harness.errors import HarnessError
        from harness.plugin.settings import CLUSTER

        try:
            cluster = DaskCluster(address)
        except HarnessError as bad:
            raise pytest.UsageError(str(bad)) from None
        self._config.stash[CLUSTER] = cluster
        try:
            for item in items:
                item.submit()
            yield
        finally:
            del self._config.stash[CLUSTER]
            cluster.close()

    def _demand_runtime(self) -> None:
        """Says in one line that TFF or a worker is missing, before every scenario fails for it."""
        from harness.plugin.settings import workers
        from harness.runtime.imports import missing

        if reason := missing() or self._missing_mlflow():
            raise pytest.UsageError(reason)
        if addresses := workers(self._config):
            from harness.errors import RuntimeUnavailable
            from harness.runtime.health import demand

            try:
                demand(addresses)
            except RuntimeUnavailable as bad:
                raise pytest.UsageError(str(bad)) from None

    def _missing_mlflow(self) -> str:
        from harness.plugin.settings import setting
        from harness.report.mlflow import missing

        return missing() if setting(self._config, "mlflow") else ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        result = getattr(item, "result", None)
        if call.when == "call" and result is not None:
            # As JSON, which xdist carries to its controller; there the order would be lost.
            setattr(report, _KEY, result.model_dump(mode="json"))
            setattr(report, _PLACE, item.session.items.index(item))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if result := getattr(report, _KEY, None):
            self._results[getattr(report, _PLACE)] = result
            properties: dict[str, Any] = dict(report.user_properties)
            self._trainings += properties.get("fed_trainings", 0)
            self._reused += properties.get("fed_reused_trainings", 0)
        if report.when == "call":
            told = [str(t) for key, t in report.user_properties if key == "fed_baseline"]
            self._baselines += told

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """With -v, the figures stand behind PASSED."""
        result = getattr(report, _KEY, None)
        if not result or not report.passed:
            return None
        from harness.report.tables import headline
        from harness.results import Result

        return "passed", ".", f"PASSED {headline(Result.model_validate(result))}"

    def pytest_sessionfinish(self) -> None:
        from harness.plugin.settings import folder

        if not self._results or self._is_xdist_worker:
            return
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            self._append_step_summary(Path(summary))
        target = folder(self._config, "report")
        if target is None:
            return
        from harness.report.markdown import write_report
        from harness.results.store import count_records

        results = self._parsed()
        path = write_report(results, target)
        self._other_records = count_records(target) - len(results)
        try:
            self._written = path.relative_to(self._config.invocation_params.dir).as_posix()
        except ValueError:
            self._written = str(path)

    def _append_step_summary(self, file: Path) -> None:
        from harness.report.github import step_summary

        with file.open("a", encoding="utf-8") as written:  # other steps have their part in it
            written.write(step_summary(self._parsed()))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not (self._results or self._baselines) or self._config.get_verbosity() < 0:
            return
        from harness.report.tables import SUMMARY_COLUMNS, plain_table, summary_row

        terminalreporter.section("federated scenarios")
        if rows := [summary_row(r) for r in self._parsed()]:
            terminalreporter.write_line(plain_table(rows, SUMMARY_COLUMNS))
        if self._reused:
            terminalreporter.write_line(
                f"{self._reused} of {self._trainings} trainings unchanged, taken from the cache "
                "(--fed-no-cache runs them again)"
            )
        for line in self._on_baselines():
            terminalreporter.write_line(line)
        if self._written:
            terminalreporter.write_line(f"report: {self._written}")
            if self._other_records:
                terminalreporter.write_line(
                    f"  not in it: {self._other_records} older record(s) there, of scenarios that "
                    "did not run now (fedharness report DIR renders all) or that are gone "
                    "(fedharness prune PATH --report DIR)"
                )

    def _on_baselines(self) -> list[str]:
        """How many were found how, and which are not as before."""
        if not self._baselines:
            return []
        counts = Counter(told.partition(": ")[0] for told in self._baselines)
        shown = [
            f"  {told}"
            for told in self._baselines
            if not told.startswith(("written: ", "as before: ")) or told.count(": ") > 1
        ]
        told = ["baselines: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()), *shown]
        if left := self._left_baselines():
            from harness.scenario.loader import shown_path

            told.append("baselines of scenarios that are gone; fedharness prune PATH deletes them:")
            told += [f"  {shown_path(file, self._config.rootpath)}" for file in left]
        return told

    def _left_baselines(self) -> list[Path]:
        """Those beside the files that pytest was given, whichever scenarios ran."""
        from harness.errors import ScenarioError
        from harness.report.leftovers import baselines

        start = self._config.invocation_params.dir
        paths = [start / str(arg).split("::")[0] for arg in self._config.args]
        try:
            return baselines(paths)
        except ScenarioError:  # a YAML file that is none, or chooses what only a conftest knows
            return []

    def _parsed(self) -> list[Any]:
        from harness.results import Result

        return [Result.model_validate(self._results[place]) for place in sorted(self._results)]

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        import sys

        # Only where a scenario ran: importing it here would cost every other session time.
        if context := sys.modules.get("harness.runtime.context"):
            context.shutdown()
