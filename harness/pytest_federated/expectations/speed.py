"""Time: a benchmark, judged only on request, as it depends on the machine and its load."""

from __future__ import annotations

import statistics

from pytest_federated.expectations.judging import NoFigure, Positive, expectation
from pytest_federated.training.history import TrainingHistory


@expectation("seconds_per_round", Positive, is_benchmark=True)
def seconds_per_round(history: TrainingHistory) -> float:
    """Wall time of a round with its evaluation, median over rounds; judged by --fed-benchmark.

    The first round, which builds TensorFlow's graphs, is left out.
    """
    if len(history.seconds) < 2:
        raise NoFigure("not timed")
    return statistics.median(history.seconds[1:])
