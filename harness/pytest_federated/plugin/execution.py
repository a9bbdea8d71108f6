"""Running a scenario on pytest's behalf, for items and for the fixture alike."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Optional

import pytest

from pytest_federated.core.errors import DataUnavailable, FederatedError
from pytest_federated.plugin.options import inconclusive, is_quiet, run_options, setting
from pytest_federated.plugin.tracking import Tracking
from pytest_federated.report.tables import (
    VERDICT_COLUMNS,
    decision,
    missed_line,
    plain_table,
    seed_rows,
    verdict_rows,
)
from pytest_federated.results.record import Result
from pytest_federated.running.pipeline import Progress, run, seeds_to_run
from pytest_federated.scenario.schema import Scenario
from pytest_federated.tff.imports import be_loud
from pytest_federated.training.history import Round


class ExpectationsFailed(Exception):
    """At least one expectation of a scenario does not hold, or the training diverged."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.reason if result.status == "diverged" else _explain(result))
        self.result = result


class Inconclusive(UserWarning):
    """The threshold of an expectation lies in the interval of the mean (95 %)."""


def _explain(result: Result) -> str:
    """What was missed in one line, for pytest's short summary, then all expectations, and the
    figures of each seed.
    """
    judged = result.model_copy(update={"verdicts": (*result.verdicts, *result.compared)})
    missed = "; ".join(missed_line(v) for v in judged.verdicts if not v.passed)
    tables = [plain_table(verdict_rows(judged), VERDICT_COLUMNS)]
    rows, columns = seed_rows(result)
    if rows:
        tables.append(plain_table(rows, columns))
    return "\n\n".join([missed, *tables])


def execute(
    config: pytest.Config,
    scenario: Scenario,
    *,
    variant: str = "",
    siblings: Optional[Mapping[str, Scenario]] = None,
    on_round: Optional[Progress] = None,
) -> Result:
    """Runs a scenario under pytest's options; status ``skipped`` where its data is not here.

    Raises:
        FederatedError: it cannot be run; under ``--fed-strict`` also when its data is not here.
    """
    if not is_quiet(config):
        be_loud()
    options = run_options(config)
    seeds = seeds_to_run(scenario.seeds, options.seeds)
    tracking = Tracking(config, scenario.id(variant), seeds)

    def tell(position: int, done: Round) -> None:
        tracking.on_round(position, done)
        if on_round:
            on_round(position, done)

    try:
        result = run(scenario, options, variant=variant, siblings=siblings, on_round=tell)
    except DataUnavailable as missing:
        if setting(config, "strict"):
            raise
        return _skipped(scenario, variant, missing.reason, str(missing))
    except pytest.skip.Exception as skipped:
        if setting(config, "strict"):
            raise FederatedError(f"skipped by its own code: {skipped.msg}") from skipped
        return _skipped(scenario, variant, str(skipped.msg))
    tracking.finish(result)
    return result


def _skipped(scenario: Scenario, variant: str, reason: str, told: str = "") -> Result:
    return Result(
        id=scenario.id(variant),
        settings=scenario.settings(),
        status="skipped",
        reason=reason.partition("\n")[0],
        told=told,
    )


def demand(config: pytest.Config, result: Result) -> None:
    """Makes the outcome of a scenario that of the test.

    Under ``--fed-inconclusive=warn`` it warns of what is `Inconclusive`.

    Raises:
        ExpectationsFailed: an expectation does not hold, or the training diverged.
        pytest.skip.Exception: the scenario was skipped.
    """
    __tracebackhide__ = True
    if result.status == "skipped":
        raise pytest.skip.Exception(result.told or result.reason, _use_item_location=True)
    if result.status in ("failed", "diverged"):
        raise ExpectationsFailed(result)
    if inconclusive(config) == "warn":
        for verdict in result.verdicts:
            if verdict.outcome == "inconclusive":
                warnings.warn(
                    f"{result.id}: {missed_line(verdict)}: {decision(verdict)}",
                    Inconclusive,
                    stacklevel=2,
                )
