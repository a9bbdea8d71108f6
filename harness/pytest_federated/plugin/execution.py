"""Running a scenario on pytest's behalf, for items and for the fixture alike."""

from __future__ import annotations

import traceback
import warnings

import pytest

from pytest_federated.core.errors import DataUnavailable, FederatedError
from pytest_federated.core.parent import end_with_parent
from pytest_federated.data.datasets.dataset import datasets
from pytest_federated.plugin.options import is_quiet, run_options, session_options
from pytest_federated.plugin.tracking import TensorBoard, log_to_mlflow, save_models
from pytest_federated.report.tables.cells import plain_table
from pytest_federated.report.tables.compared import (
    compared_columns,
    compared_rows,
    unlike_line,
)
from pytest_federated.report.tables.seeds import seed_rows
from pytest_federated.report.tables.verdicts import (
    VERDICT_COLUMNS,
    decision,
    missed_line,
    verdict_rows,
)
from pytest_federated.report.tuned import tuned_text
from pytest_federated.results.record import Result
from pytest_federated.running import pipeline
from pytest_federated.running.plan import Plan
from pytest_federated.scenario.case import Case
from pytest_federated.tff.imports import be_loud
from pytest_federated.training.observer import Observer


class ExpectationsFailed(AssertionError):
    """At least one expectation of a scenario does not hold, or the training diverged."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.reason if result.status == "diverged" else _explain(result))
        self.result = result


def shown(error: FederatedError, config: pytest.Config) -> str:
    """Returns the message of an error; with -vv the traceback below it, and those of its causes."""
    if is_quiet(config):
        return str(error)
    trace = traceback.format_exception(type(error), error, error.__traceback__)
    return "\n".join([str(error), "", *trace])


class Inconclusive(UserWarning):
    """The threshold of an expectation lies in the interval of the mean (95 %)."""


class BestAtEdge(UserWarning):
    """The best point of a grid lies at its edge, so that a better one may lie beyond it."""


def _explain(result: Result) -> str:
    """What was missed in one line, for pytest's short summary, then all expectations, and the
    figures of each seed.
    """
    missed = [missed_line(result, v) for v in result.verdicts if not v.passed]
    missed += [unlike_line(c) for c in result.compared if not c.passed]
    missed = missed or [result.reason]
    tables = [
        (verdict_rows(result), VERDICT_COLUMNS),
        (compared_rows(result), compared_columns(result)),
        seed_rows(result),
    ]
    shown = [plain_table(rows, columns) for rows, columns in tables if rows]
    tuned = filter(None, [tuned_text(result)])
    return "\n\n".join(["; ".join(missed), *tuned, *shown])


def execute(config: pytest.Config, planned: Plan, *observers: Observer) -> Result:
    """Runs a plan under pytest's options; status ``skipped`` where its data is not here.

    Raises:
        FederatedError: it cannot be run; under ``--fed-strict`` also when its data is not here.
    """
    if hasattr(config, "workerinput"):  # a process of xdist, which has nothing to save
        end_with_parent()
    if not is_quiet(config):
        be_loud()
    session, case = session_options(config), planned.case
    tracking = [TensorBoard(session.tensorboard, case.id)] if session.tensorboard else []
    try:
        result = pipeline.run_plan(planned, run_options(config), [*tracking, *observers])
    except DataUnavailable as missing:
        if session.strict:
            raise
        return _skipped(case, missing.reason, f"{missing}{_twin(case)}")
    except pytest.skip.Exception as skipped:
        if session.strict:
            raise FederatedError(f"skipped by its own code: {skipped.msg}") from skipped
        return _skipped(case, str(skipped.msg))
    if session.save_models:
        save_models(result, session.save_models)
    if session.mlflow:
        log_to_mlflow(result, session.mlflow)
    return result


def needs_all_rounds(config: pytest.Config, planned: Plan) -> str:
    """Says why ``--fed-early-stop`` does not end a plan; empty where it may, or is not given."""
    session = session_options(config)
    if not session.early_stop:
        return ""
    if session.compares:
        return "compared with baselines" if not session.against else "compared with a revision"
    return pipeline.needs_all_rounds(planned, run_options(config))


def _skipped(case: Case, reason: str, message: str = "") -> Result:
    return Result(
        id=case.id,
        settings=case.scenario.settings(),
        matrix=dict(case.matrix),
        status="skipped",
        reason=reason.partition("\n")[0],
        local_reason=message,
    )


def _twin(case: Case) -> str:
    """Names a data set to use meanwhile, if there is one much like that of the scenario."""
    twin = datasets.entry(case.scenario.data.dataset).spec.offline_twin
    return f"; or use {twin}, which is much like it and needs no download" if twin else ""


def strictly(config: pytest.Config, result: Result) -> Result:
    """Returns the result; failed, under ``--fed-strict``, where nothing was judged of it."""
    is_unjudged = result.status == "reported" and not result.compared
    if not (is_unjudged and session_options(config).strict):
        return result
    reason = "nothing is expected of it: say what under expect, or compare it with a baseline"
    return result.model_copy(update={"status": "failed", "reason": reason})


def enforce(config: pytest.Config, result: Result) -> None:
    """Makes the outcome of a scenario that of the test.

    It warns where a scenario was tuned and `BestAtEdge`, and under ``--fed-inconclusive=warn`` of
    what is `Inconclusive`.

    Raises:
        ExpectationsFailed: an expectation does not hold, or the training diverged.
        pytest.skip.Exception: the scenario was skipped.
    """
    __tracebackhide__ = True
    if result.status == "skipped":
        raise pytest.skip.Exception(result.local_reason or result.reason, _use_item_location=True)
    if result.status in ("failed", "diverged"):
        raise ExpectationsFailed(result)
    for edge in result.tuning.edges if result.tuning else ():
        warnings.warn(f"{result.id}: {edge}; a better one may lie beyond", BestAtEdge, stacklevel=2)
    if session_options(config).inconclusive == "warn":
        for verdict in result.verdicts:
            if verdict.outcome == "inconclusive":
                warnings.warn(
                    f"{result.id}: {missed_line(result, verdict)}: {decision(verdict)}",
                    Inconclusive,
                    stacklevel=2,
                )
