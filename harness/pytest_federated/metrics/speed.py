"""Wall time: a benchmark, judged only on request, as it depends on the machine and its load."""

from __future__ import annotations

import statistics

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.training.history import TrainingHistory


@metrics(
    "seconds_per_round",
    title="seconds per round",
    unit="s",
    scale="positive",
    direction="lower",
    is_wall_time=True,
)
def seconds_per_round(history: TrainingHistory) -> float:
    """Wall time of a round with its evaluation, median over rounds; judged by --fed-benchmark.

    The first round, which builds TensorFlow's graphs, is left out.
    """
    if len(history.seconds) < 2:
        raise NoValue("not timed")
    return statistics.median(history.seconds[1:])
