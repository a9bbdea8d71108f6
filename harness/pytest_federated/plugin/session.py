"""The session as a whole: mistakes in files, results from all processes, the report."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Callable, Optional

import pytest

from pytest_federated.core.errors import FederatedError
from pytest_federated.plugin.finding import ignored_files, shown, skipped_files
from pytest_federated.plugin.wrapped import write_wrapped

if TYPE_CHECKING:
    from pytest_federated.results.record import Result
    from pytest_federated.scenario.case import Case

_KEY = "fed_result"
# Imported where pytest met a scenario file; sessions without are spared the time.
_COLLECTION = "pytest_federated.plugin.collection"
_DIED = "the process that ran it died: a crash, os._exit, or too little memory"


class FederatedSession:
    """Collects results, also from xdist's workers, and reports them.

    Every scenario that was collected has a result from the beginning: it was not reached. The
    record of a scenario is written when it ends, as the session may not live to its end.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._cases: list[Case] = []  # as xdist's controller read them
        self._results: dict[str, Result] = {}  # by node id, in the order of the session's items
        self._trainings = self._reused = 0
        self._whole = Counter[str]()  # scenarios with all rounds despite --fed-early-stop, by why
        self._written: Optional[str] = None
        self._unwritten: dict[str, str] = {}  # why, by what could not be written
        self._skipped: dict[str, list[str]] = {}  # names of scenarios, by the reason
        self._other_records = 0  # in the folder of the report
        self._kept_records = 0  # in the report, of files that are not read
        self._baselines: list[str] = []  # verdict: scenario: details

    @property
    def _is_xdist_controller(self) -> bool:
        return bool(getattr(self._config.option, "tx", None)) and not self._is_xdist_worker

    @property
    def _is_xdist_worker(self) -> bool:
        return hasattr(self._config, "workerinput")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Reads the scenario files in xdist's controller, which collects nothing itself."""
        if self._is_xdist_controller:
            from pytest_federated.core import collector

            with collector.paused():
                from pytest_federated.plugin.collection import check_files

                self._cases = check_files(self._config)
            if self._cases:
                _keep_what_was_read()
                self._require_what_options_need()
                self._run_revision([case.file for case in self._cases])

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tells a process of xdist what it cannot find out by itself."""
        from pytest_federated.plugin.against import against

        if self._cases and (revision := against(self._config)):
            revision.tell(node.workerinput)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Notes what the processes are about to run; all of them collect the same."""
        from pytest_federated.plugin.item import unreached
        from pytest_federated.plugin.selection import require_known_tags

        cases = {case.id: case for case in self._cases}
        ours: list[str] = []
        for node_id in ids:
            file, _, name = node_id.partition("::")
            if name in cases and Path(file).suffix == cases[name].file.suffix:
                ours.append(node_id)
        if cases and len(ours) == len(ids):  # else the markers of other tests are not known here
            tags = (tag for case in self._cases for tag in case.scenario.tags)
            require_known_tags(self._config, tags)
        for node_id in ours:
            if node_id not in self._results:
                self._expect(node_id, unreached(cases[node_id.partition("::")[2]]))

    def _expect(self, node_id: str, result: Result) -> None:
        """Notes that a scenario is about to run."""
        from pytest_federated.results.store import mark_unreached

        self._results[node_id] = result = _with_file(result, node_id)
        if self._report_folder:
            mark_unreached(result, self._report_folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if collection := sys.modules.get(_COLLECTION):
            collection.raise_problems(self._config, items)
            if not self._is_xdist_worker:
                collection.require_known_selection(self._config, items)

    def pytest_collection_finish(self) -> None:
        if _COLLECTION in sys.modules:
            _keep_what_was_read()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        has_scenarios = _COLLECTION in sys.modules
        if self._config.option.collectonly or self._is_xdist_controller or not has_scenarios:
            return (yield)
        from pytest_federated.plugin.item import ScenarioItem, unreached
        from pytest_federated.plugin.options import session_options

        items = [item for item in session.items or () if isinstance(item, ScenarioItem)]
        if items:
            from pytest_federated.plugin.baselines import share_false_alarms

            share_false_alarms(self._config, len(items))
        if items and not self._is_xdist_worker:
            self._require_what_options_need()
            self._run_revision([item.path for item in items])
            for item in items:
                self._expect(item.nodeid, unreached(item.case))
        with contextlib.ExitStack() as leaving:
            if items and (address := session_options(self._config).executor):
                leaving.enter_context(self._cluster(address, items))
            return (yield)

    @contextlib.contextmanager
    def _cluster(self, address: str, items: list[Any]) -> Generator[None, None, None]:
        """Submits all runs to the cluster at once; each item then waits for its own."""
        from pytest_federated.core.errors import FederatedError
        from pytest_federated.plugin.options import use_cluster
        from pytest_federated.running.dask import DaskCluster

        try:
            cluster = DaskCluster(address)
        except FederatedError as error:
            raise pytest.UsageError(str(error)) from None
        use_cluster(self._config, cluster)
        try:
            for item in items:
                item.submit()
            yield
        finally:
            use_cluster(self._config, None)
            cluster.close()

    def _run_revision(self, files: Sequence[Path]) -> None:
        """Runs the scenarios of these files at the revision that they are compared with."""
        from pytest_federated.core.errors import FederatedError
        from pytest_federated.plugin.against import against

        revision = against(self._config)
        if revision is None or self._config.option.collectonly:
            return
        self._config.add_cleanup(revision.close)
        if reporter := self._config.pluginmanager.get_plugin("terminalreporter"):
            write_wrapped(reporter, f"running the scenarios at {revision.name} to compare with ...")
        try:
            revision.start(list(dict.fromkeys(files)))
        except FederatedError as error:
            raise pytest.UsageError(str(error)) from None

    def _require_what_options_need(self) -> None:
        """Stops the session in one line before each scenario fails for the same reason."""
        from pytest_federated.plugin.baselines import require_known_margins
        from pytest_federated.plugin.options import session_options
        from pytest_federated.tff.imports import missing

        options = session_options(self._config)  # says what the ini file has wrong
        require_known_margins(self._config)
        if reason := missing() or self._missing_mlflow():
            raise pytest.UsageError(reason)
        if addresses := options.workers:
            from pytest_federated.core.errors import FederatedError
            from pytest_federated.tff.health import require_answers

            try:
                require_answers(addresses, options.workers_tls)
            except FederatedError as error:
                raise pytest.UsageError(str(error)) from None

    def _missing_mlflow(self) -> str:
        from pytest_federated.plugin.options import session_options
        from pytest_federated.report.mlflow import missing

        return missing() if session_options(self._config).mlflow else ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # Of an earlier try, by pytest-rerunfailures.
        item.user_properties[:] = [
            (name, value) for name, value in item.user_properties if not name.startswith("fed_")
        ]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        report = yield
        result_of = getattr(item, "result_of", None)
        error = call.excinfo.value if call.excinfo else None
        if result_of and (result := result_of(report, error)) is not None:
            setattr(report, _KEY, result.recorded)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, report: Any) -> Generator[None, Any, Any]:
        """Writes the result of a report as JSON, which xdist carries to its controller."""
        data = yield
        if data and (result := data.get(_KEY)) is not None:
            data[_KEY] = result.model_dump(mode="json")
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self) -> Generator[None, Any, Any]:
        """Reads the result of a report again."""
        report = yield
        if encoded := getattr(report, _KEY, None):
            from pytest_federated.results.record import Result

            setattr(report, _KEY, Result.model_validate(encoded))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        result = self._result_in(report)
        if result is not None:
            self._results[report.nodeid] = _with_file(result, report.nodeid)
            self._note_skip(report, result)
            self._write_rounds(report, result)
            if self._report_folder and not self._is_xdist_worker:
                self._write(f"the record of {result.id}", lambda: self._record(report.nodeid))
        if report.when == "call":
            properties: dict[str, Any] = dict(report.user_properties)
            self._trainings += properties.get("fed_trainings", 0)
            self._reused += properties.get("fed_reused_trainings", 0)
            if why := properties.get("fed_all_rounds"):
                self._whole[why] += 1
            self._baselines += [str(t) for k, t in report.user_properties if k == "fed_baseline"]

    @pytest.hookimpl(wrapper=True, specname="pytest_runtest_logreport")
    def pytest_runtest_logreport_over(self, report: pytest.TestReport) -> Generator[None, Any, Any]:
        """Frees the result that a report carries, after all hooks: pytest keeps all reports."""
        try:
            return (yield)
        finally:
            vars(report).pop(_KEY, None)

    def _note_skip(self, report: pytest.TestReport, result: Result) -> None:
        """Notes why a scenario was skipped; the report says what only this machine does, too."""
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = " ".join(report.longrepr[2].removeprefix("Skipped: ").split())
            self._skipped.setdefault(reason, []).append(result.id)

    def _write_rounds(self, report: pytest.TestReport, result: Result) -> None:
        """Writes, with -vv, the rounds of a process of xdist, which has no terminal."""
        from pytest_federated.plugin.options import is_quiet

        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if is_quiet(self._config) or not reporter or not hasattr(report, "node"):
            return
        from pytest_federated.plugin.progress import round_lines

        seeds = len(result.histories)
        for number, one in enumerate(result.histories, start=1):
            seed = f"seed {number}/{seeds} " if seeds > 1 else ""
            for line in round_lines(one.rounds, result.settings["training"]["rounds"], seed):
                reporter.write_line(line)

    def _result_in(self, report: pytest.TestReport) -> Optional[Result]:
        """Returns the result that a report carries, or one that says that its process died."""
        if (carried := getattr(report, _KEY, None)) is not None:
            return carried
        result = self._results.get(report.nodeid)
        if result is None or not report.failed:
            return None
        # xdist's report on a process that is gone; whoever ran the scenario tells more.
        return result.model_copy(update={"status": "errored", "reason": _DIED})

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Shows the metrics behind PASSED or, where nothing was judged, REPORTED; with -v."""
        if self._config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) < 1:
            return None
        result = getattr(report, _KEY, None)
        if result is None or report.when != "call" or not report.passed:
            return None
        from pytest_federated.report.tables.summary import headline

        word = "REPORTED" if result.status == "reported" else "PASSED"
        return "passed", ".", f"{word} {headline(result)}"

    @property
    def _report_folder(self) -> Optional[Path]:
        from pytest_federated.plugin.options import session_options

        return session_options(self._config).report

    def _record(self, node_id: str) -> None:
        from pytest_federated.report.pages import write_record

        assert self._report_folder
        self._results[node_id] = write_record(self._results[node_id], self._report_folder)

    def _write(self, what: str, write: Callable[[], None]) -> None:
        """Writes something; a failure is shown at the end of the session and costs no result."""
        from pytest_federated.user.functions import first_line

        try:
            write()
        except Exception as error:
            self._unwritten[what] = first_line(error)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self._results or self._is_xdist_worker:
            return
        from pytest_federated.core.signals import postponed

        try:
            with postponed():
                self._finish(session)
        except KeyboardInterrupt:  # which pytest would show with a traceback by now
            session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _finish(self, session: pytest.Session) -> None:
        """Writes what is about all scenarios together."""
        if self._report_folder is not None:
            for node_id, result in self._results.items():
                if result.status == "not reached":
                    self._write(f"the record of {result.id}", lambda n=node_id: self._record(n))
            self._write("the report", self._write_report)
        if self._unwritten and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED  # the report was asked for
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            self._write("the job's summary", lambda: self._append_step_summary(Path(summary)))

    def _write_report(self) -> None:
        from pytest_federated.plugin.options import session_options, store_folder
        from pytest_federated.report.drawn import write_pages_once
        from pytest_federated.results.store import count_records
        from pytest_federated.running.fingerprint import own_source

        assert self._report_folder
        notes = None if session_options(self._config).no_cache else store_folder(self._config)
        results = [*self._results.values(), *self._ignored_records()]
        self._kept_records = len(results) - len(self._results)
        path = write_pages_once(results, self._report_folder, notes, own_source())
        self._other_records = count_records(self._report_folder) - len(results)
        try:
            self._written = path.relative_to(self._config.invocation_params.dir).as_posix()
        except ValueError:
            self._written = str(path)

    def _ignored_records(self) -> list[Result]:
        """Returns the report's records of scenarios whose files pytest is told to ignore.

        They stay in it: who runs all but the slow folders does not want the others' pages gone.
        """
        from pytest_federated.results.store import read_result, record_file
        from pytest_federated.scenario.loader import load_file

        assert self._report_folder
        ran = {result.id for result in self._results.values()}
        kept: list[Result] = []
        for file in ignored_files(self._config):
            cases: Sequence[Case] = ()
            with contextlib.suppress(FederatedError):
                cases = load_file(file)
            for case in cases:
                with contextlib.suppress(FederatedError):  # none, or damaged: it is not in it
                    result = read_result(record_file(case.id, self._report_folder))
                    if result.file == shown(file, self._config) and case.id not in ran:
                        kept.append(result)
        return kept

    def _append_step_summary(self, file: Path) -> None:
        from pytest_federated.report.github import step_summary

        with file.open("a", encoding="utf-8") as written:  # other steps have their part in it
            written.write(step_summary(list(self._results.values())))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if (self._results or self._baselines) and self._config.get_verbosity() >= 0:
            self._write_summary(terminalreporter)
        for line in skipped_files(self._config):
            write_wrapped(terminalreporter, line, yellow=True)
        for what, why in self._unwritten.items():
            write_wrapped(terminalreporter, f"not written: {what}: {why}", red=True)

    def _write_summary(self, terminalreporter: Any) -> None:
        from pytest_federated.plugin.summary import (
            write_skipped,
            write_table,
            write_tuned,
            write_whole,
        )

        terminalreporter.section("federated scenarios")
        ended = [r for r in self._results.values() if r.status != "not reached"]
        if ended:
            write_table(terminalreporter, ended)
        write_tuned(terminalreporter, ended)
        write_skipped(terminalreporter, self._skipped)
        if left := len(self._results) - len(ended):
            write_wrapped(terminalreporter, f"{left} scenario(s) not reached")
        if self._reused:
            write_wrapped(
                terminalreporter,
                f"{self._reused} of {self._trainings} trainings unchanged, taken from the cache "
                "(--fed-no-cache runs them again)",
            )
        write_whole(terminalreporter, self._whole)
        for line in self._baseline_lines():
            write_wrapped(terminalreporter, line)
        if self._written:
            write_wrapped(terminalreporter, f"report: {self._written}")
            if self._kept_records:
                write_wrapped(
                    terminalreporter,
                    f"  in it as they were: {self._kept_records} record(s) of scenarios in files "
                    "that are not read",
                )
            if self._other_records > 0:
                write_wrapped(
                    terminalreporter,
                    f"  not in it: {self._other_records} older record(s) there, of scenarios that "
                    "did not run now (pytest-federated report DIR renders all) or that are gone "
                    "(pytest-federated prune PATH --report DIR)",
                )

    def _baseline_lines(self) -> list[str]:
        """Returns how many baselines came out how, and a line for each that changed."""
        if not self._baselines:
            return []
        from pytest_federated.plugin.against import against

        counts = Counter(line.partition(": ")[0] for line in self._baselines)
        shown = [
            f"  {line}"
            for line in self._baselines
            if not line.startswith(("written: ", "unchanged: ", "same: ")) or line.count(": ") > 1
        ]
        total = sum(counts[kind] for kind in ("same", "better", "worse", "undecided", "incomplete"))
        of_all = (
            f" (judged together: {total}, false alarm in any: 5 % at most)" if total > 5 else ""
        )
        kinds = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        if revision := against(self._config):
            return [f"against {revision.name}: {kinds}{of_all}", *shown]
        lines = [f"baselines: {kinds}{of_all}", *shown]
        if left := self._leftover_baselines():
            from pytest_federated.scenario.loader import shown_path

            lines.append(
                "baselines of scenarios that are gone (pytest-federated prune PATH deletes them):"
            )
            lines += [f"  {shown_path(file, self._config.rootpath)}" for file in left]
        return lines

    def _leftover_baselines(self) -> list[Path]:
        """Returns the baselines below pytest's arguments whose scenarios are gone."""
        from pytest_federated.core.errors import ScenarioError
        from pytest_federated.report.leftovers import baselines

        start = self._config.invocation_params.dir
        paths = [start / str(arg).split("::")[0] for arg in self._config.args]
        try:
            return baselines(paths)
        except ScenarioError:  # a YAML file that is none, or chooses what only a conftest knows
            return []

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        # Only where a scenario ran: importing it here would cost every other session time.
        if context := sys.modules.get("pytest_federated.tff.context"):
            context.shutdown()


def _keep_what_was_read() -> None:
    """Has the garbage collector pass over all scenarios, and over what reading them imported."""
    if "tensorflow" not in sys.modules:  # else there may be models, which do not stay
        from pytest_federated.core import collector

        collector.keep()


def _with_file(result: Result, node_id: str) -> Result:
    """Returns the result with its scenario's file, which is the same on all machines."""
    file = PurePosixPath(node_id.partition("::")[0])
    if file.is_absolute() or ".." in file.parts:  # outside of pytest's root folder
        file = PurePosixPath(*[part for part in file.parts[-2:] if part not in ("/", "..")])
    return result.model_copy(update={"file": file.as_posix()})
