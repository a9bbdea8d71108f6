"""The figures of one training that reports show, compare and export."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from pytest_federated.metrics.statistics import CONFIDENCE, Comparison, comparable, welch
from pytest_federated.results.record import Result
from pytest_federated.training.history import TrainingHistory


@dataclass(frozen=True)
class FigureOf:
    """One figure of a training.

    Attributes:
        title: as it stands in tables.
        of: finds it; None where the record does not have it.
        sign: 1 where more is better, -1 where less is, 0 where neither.
        is_share: whether it is a share of the test examples, and so comes in steps of one.

    """

    title: str
    of: Callable[[TrainingHistory], Optional[float]]
    sign: int = 0
    is_share: bool = False

    def by_seed(self, result: Result) -> list[float]:
        """The figure of each seed that has it."""
        return list(self.of_seeds(result).values())

    def of_seeds(self, result: Result) -> dict[int, float]:
        """The figure by seed, of those that have it."""
        figures = {history.seed: self.of(history) for history in result.histories}
        return {seed: value for seed, value in figures.items() if value is not None}

    def sides(self, first: Result, second: Result) -> tuple[list[float], list[float]]:
        """What can be compared of the two results, see `comparable`; empty where nothing can."""
        return comparable(self.of_seeds(first), self.of_seeds(second))

    def compare(
        self, first: Result, second: Result, confidence: float = CONFIDENCE
    ) -> Optional[Comparison]:
        """Welch's test of the second result's mean less the first's.

        None where a result has fewer than two seeds with the figure, or one that is not finite.
        """
        one, two = self.sides(first, second)
        if min(len(one), len(two)) < 2 or not all(map(math.isfinite, (*one, *two))):
            return None
        step = 1 / first.histories[0].test_examples if self.is_share else 0.0
        return welch(one, two, resolution=step, confidence=confidence)


def mean(values: Sequence[float]) -> Optional[float]:
    """The mean; None of no values."""
    return statistics.fmean(values) if values else None


def deviation(values: Sequence[float]) -> Optional[float]:
    """Standard deviation (n - 1); None where there is none, or a value is not finite."""
    if len(values) < 2 or not all(math.isfinite(v) for v in values):
        return None
    return statistics.stdev(values)


def _megabytes(sent: Sequence[Optional[int]]) -> Optional[float]:
    known = [n for n in sent if n is not None]
    return sum(known) / 1e6 if known else None


# By the name that options and exports use.
FIGURES: dict[str, FigureOf] = {
    "accuracy": FigureOf(
        "accuracy", lambda h: h.evaluated[-1].accuracy if h.evaluated else None, 1, True
    ),
    "best_accuracy": FigureOf(
        "best accuracy",
        lambda h: max((r.accuracy or 0.0 for r in h.evaluated), default=None),
        1,
        True,
    ),
    "loss": FigureOf("loss", lambda h: h.evaluated[-1].loss if h.evaluated else None, -1),
    "worst_client": FigureOf("worst client", lambda h: min(h.client_accuracy, default=None), 1),
    "client_spread": FigureOf("spread over clients", lambda h: deviation(h.client_accuracy), -1),
    "personalized_accuracy": FigureOf(
        "fine-tuned clients", lambda h: mean(h.personalized_accuracy), 1
    ),
    "dropped": FigureOf("dropped clients", lambda h: sum(r.dropped for r in h.rounds) or None),
    "megabytes_down": FigureOf(
        "MB down", lambda h: _megabytes([r.bytes_down for r in h.rounds]), -1
    ),
    "megabytes_up": FigureOf("MB up", lambda h: _megabytes([r.bytes_up for r in h.rounds]), -1),
    "epsilon": FigureOf("epsilon", lambda h: h.epsilon, -1),
}
