"""One row for each scenario."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from pytest_federated.data.sizes.size import sizes
from pytest_federated.data.splits.partition import splits
from pytest_federated.metrics.measure import headline as headline_metric
from pytest_federated.metrics.measure import keys_in
from pytest_federated.metrics.metric import spec_of
from pytest_federated.report.tables.cells import figure, result_interval
from pytest_federated.report.tables.choices import choice_text
from pytest_federated.report.tables.settings import participation_rows
from pytest_federated.results.record import Result, Verdict
from pytest_federated.training.algorithms.algorithm import algorithms

_BEFORE = ("scenario", "clients", "split", "heterogeneity", "algorithm", "rounds", "seeds")


def summary_columns(results: Sequence[Result]) -> list[str]:
    """The columns of `summary_row`; a cell names its own metric where that is not accuracy."""
    return [*_BEFORE, headline_column(results), "rounds to target", "verdict"]


def headline_column(results: Sequence[Result]) -> str:
    """The column of `headline_cell`."""
    metric = headline_metric(results)
    what = metric.title if metric.name == headline_metric().name else "result"
    return f"{what} ± 95 %"


def headline(result: Result) -> str:
    """The result in a few words, behind PASSED, REPORTED or FAILED."""
    if result.status not in ("passed", "failed", "reported"):
        return f"({result.reason or result.status})"
    metric = headline_metric([result])
    return f"({metric.title} {result_interval(result, metric)})"


def summary_row(result: Result) -> list[str]:
    """One row of the summary, with `summary_columns`.

    Heterogeneity is the mean Jensen-Shannon distance between the labels of two clients.
    """
    training, clients = result.settings["training"], result.settings["clients"]
    count = (
        len(result.histories[0].client_examples) if result.histories else clients["count"] or "all"
    )
    distances = [
        h.heterogeneity.jensen_shannon for h in result.histories if h.heterogeneity and h.has_labels
    ]
    return [
        result.id,
        str(count),
        split_cell(result),
        f"{statistics.fmean(distances):.3f}" if distances else "–",
        algorithm_cell(result),
        str(training["rounds"]),
        _seeds(result),
        headline_cell(result),
        _rounds_to_target(result),
        result.status,
    ]


def split_cell(result: Result) -> str:
    """How the examples are split, and how clients come, go and behave."""
    clients = result.settings["clients"]
    return ", ".join(
        [
            choice_text(splits, clients["split"]),
            *([f"size {choice_text(sizes, clients['size'])}"] if clients.get("size") else []),
            *(f"shift {shift['kind']}" for shift in clients.get("shift", [])),
            *(f"{key} {text}" for key, text in participation_rows(clients)),
        ]
    )


def algorithm_cell(result: Result) -> str:
    """The algorithm, and the aggregator if it is not the plain mean."""
    training = result.settings["training"]
    return ", ".join([choice_text(algorithms, training["algorithm"]), *_aggregator(training)])


def headline_cell(result: Result) -> str:
    """The metric that stands for the result, by its name where that is not accuracy."""
    metric = headline_metric([result])
    text = result_interval(result, metric)
    return text if metric.name == headline_metric().name else f"{metric.title} {text}"


def _seeds(result: Result) -> str:
    """How many seeds there are; as ``1 of 2`` where only one came to its end."""
    seeds, whole = len(result.settings["seeds"]), len(result.whole)
    return f"{whole} of {seeds}" if result.histories and whole < seeds else str(seeds)


def _rounds_to_target(result: Result) -> str:
    """Mean over seeds of the first metric of rounds that the scenario has a target for, as
    ``8.67 to 0.8``.
    """
    for verdict in result.verdicts:
        target = keys_in(result, verdict.expectation).get("target")
        if spec_of(verdict.expectation).unit == "rounds" and target is not None:
            return _to_target(verdict, target)
    return "–"


def _to_target(verdict: Verdict, target: float) -> str:
    if verdict.measured is None:
        return f"not to {target:g}" if verdict.outcome == "fail" else "–"
    return f"{figure(verdict.measured, 3)} to {target:g}"


def _aggregator(training: dict[str, Any]) -> list[str]:
    """The aggregator in short, where it is not the plain mean."""
    aggregator = training.get("aggregator")
    return [aggregator["kind"]] if aggregator and aggregator["kind"] != "mean" else []
