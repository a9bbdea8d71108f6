"""Wall time: a benchmark, judged only on request, as it depends on the machine and its load."""

from __future__ import annotations

import statistics
from typing import Any, Optional

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.needs import Lack, Measured
from pytest_federated.training.history import TrainingHistory


def _two_rounds(keys: Any, scenario: Measured) -> Optional[Lack]:
    if scenario.training.rounds > 1:
        return None
    return Lack("leaves the first round out, and there is no other", "training.rounds", "got 1")


@metrics(
    "seconds_per_round",
    title="seconds per round",
    unit="s",
    scale="positive",
    direction="lower",
    is_wall_time=True,
    needs=_two_rounds,
)
def seconds_per_round(history: TrainingHistory) -> float:
    """Wall time of a round with its evaluation, median over rounds; judged by --fed-benchmark.

    The first round, which builds TensorFlow's graphs, is left out.
    """
    if len(history.seconds) < 2:
        raise NoValue("not timed")
    return statistics.median(history.seconds[1:])
