"""The mean of a metric over the last rounds, by the key `over_last` of the metric."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Callable, Optional

from pydantic import Field

from pytest_federated.metrics.metric import NoValue
from pytest_federated.metrics.resolution import Resolution, Step
from pytest_federated.training.history import Round, TrainingHistory

OverLast = Annotated[
    Optional[int],
    Field(ge=1, description="Takes the mean over the last rounds, so many, that were evaluated."),
]


def last_or_mean(
    rounds: Sequence[Round],
    figure: Callable[[Round], Optional[float]],
    over_last: Optional[int],
    without: str,
) -> float:
    """Returns the last figure of a training, or the mean of those of its last rounds.

    A single round may be lucky; S. Reddi et al. (ICLR 2021) report, and tune by, such a mean.

    Args:
        rounds: all rounds of the training.
        figure: what a round has; None where it was not evaluated.
        over_last: the number of rounds, counted from the last one; None for the last figure.
        without: why there is none, where no round has one.

    Raises:
        NoValue: no round has a figure.

    """
    known = [(done.round, value) for done in rounds if (value := figure(done)) is not None]
    if not known:
        raise NoValue(without)
    if over_last is None:
        return known[-1][1]
    first = rounds[-1].round - over_last + 1
    return statistics.fmean([value for number, value in known if number >= first] or [known[-1][1]])


def averaged(one_round: Resolution) -> Resolution:
    """Returns the resolution of a metric with the key `over_last`, from that of one round."""

    def step(history: TrainingHistory, keys: Mapping[str, Any]) -> Step:
        whole = one_round.step(history, keys)
        over_last = keys.get("over_last")
        if over_last is None or not history.rounds:
            return whole
        first = history.rounds[-1].round - over_last + 1
        count = sum(done.round >= first for done in history.evaluated)
        return whole._replace(size=whole.size / max(1, count))

    return replace(one_round, step=step)
