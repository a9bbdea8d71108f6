"""A metric together with its keys: measured on trainings, and compared between results."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from pytest_federated.metrics.difference import Difference, can_be_compared, compare
from pytest_federated.metrics.metric import BOUNDS, Metric, NoValue, measured, metrics, spec_of
from pytest_federated.metrics.resolution import Step
from pytest_federated.metrics.statistics import CONFIDENCE
from pytest_federated.results.record import Result
from pytest_federated.training.history import TrainingHistory


@dataclass(frozen=True)
class Measure:
    """A metric as reports show it.

    Attributes:
        name: of the metric.
        is_as_expected: whether a result is measured with the keys, such as a target, that its
            scenario expects something with. Otherwise all keys have their defaults, unless there
            is one without.

    """

    name: str
    is_as_expected: bool = False

    @property
    def spec(self) -> Metric:
        """Its definition."""
        return spec_of(self.name)

    @property
    def title(self) -> str:
        """As it is shown in tables."""
        return self.spec.title or self.name

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is, 0 where neither."""
        return self.spec.sign

    def of(self, history: TrainingHistory, keys: Mapping[str, Any] = {}) -> Optional[float]:
        """The value of a training; None where it has none.

        One that did not come to its end has what more rounds could not have changed, and what has
        become of it where that is no number.
        """
        entry = metrics.get(self.name)
        if entry is None or entry.spec.reference is not None:
            return None
        needed = entry.keys()
        if needed.required - keys.keys():
            return None
        own = {k: v for k, v in keys.items() if k in needed.keywords}
        if entry.spec.so_far is not None and not history.is_whole:
            low, high = entry.spec.so_far(history.rounds, **own)
            return low if low == high else None
        try:
            value = measured(entry, history, **own)
        except NoValue:
            return None
        return value if history.is_whole or not math.isfinite(value) else None

    def of_seeds(self, result: Result) -> dict[int, float]:
        """The value by seed, of those that have it."""
        if self.is_as_expected and (known := _judged(self.name, result)):
            return known
        values = zip(result.histories, self.values(result))
        return {history.seed: value for history, value in values if value is not None}

    def values(self, result: Result) -> list[Optional[float]]:
        """The value of each training of a result; None where it has none."""
        keys = self.keys(result)
        return [self.of(history, keys) for history in result.histories]

    def keys(self, result: Result) -> dict[str, Any]:
        """The keys that a result is measured with."""
        return (
            keys_in(result, self.name) if self.is_as_expected or _required_keys(self.name) else {}
        )

    def by_seed(self, result: Result) -> list[float]:
        """The value of each seed that has it."""
        return list(self.of_seeds(result).values())

    def compare(
        self,
        first: Result,
        second: Result,
        confidence: float = CONFIDENCE,
    ) -> Optional[Difference]:
        """How the second result differs from the first, see `difference.compare`.

        With the confidence of the interval, the chance to call it worse, or better, where nothing
        has changed is half of what that leaves. None where nothing can be compared, or a figure is
        not finite.
        """
        one, two = self.of_seeds(first), self.of_seeds(second)
        if not can_be_compared(one, two):
            return None
        if not all(map(math.isfinite, (*one.values(), *two.values()))):
            return None
        return compare(
            one,
            two,
            sign=self.sign,
            margin=self.spec.least.of(statistics.fmean(one.values())),
            step=coarsest(self.spec, first.histories, self.keys(first)).size,
            greatest=self.spec.values.width,
            level=(1 - confidence) / 2,
            confidence=confidence,
        )


def columns(results: Sequence[Result] = ()) -> list[Measure]:
    """The metrics that reports and exports have a column for, in its place.

    Those of predictions, such as MAE, and optional ones only where one of the results has them.
    """
    return [
        measure
        for measure, spec in _all_columns()
        if not (spec.is_optional or spec.score is not None)
        or any(measure.by_seed(result) for result in results)
    ]


def figures_of(result: Result) -> dict[str, list[float]]:
    """The figures of a result's seeds by the metric, of those metrics that have a column."""
    figures = {measure.name: measure.by_seed(result) for measure, _ in _all_columns()}
    return {name: values for name, values in figures.items() if values}


def _all_columns() -> list[tuple[Measure, Metric]]:
    """The metrics that may have a column, in its place, with their definitions."""
    specs = {name: entry.spec for name, entry in metrics.nearest().items()}
    places = sorted((s.column, name) for name, s in specs.items() if s.column is not None)
    return [(Measure(name), specs[name]) for _, name in places]


def compared_too() -> list[Measure]:
    """The metrics that comparisons show beside the one that they are by."""
    return [Measure(name) for name in metrics.names() if spec_of(name).is_compared_too]


def headline(results: Sequence[Result] = ()) -> Measure:
    """The metric that stands for whole results: the first column that one of them has."""
    first = columns()[0]
    if any(first.by_seed(result) for result in results):
        return first
    of_predictions = [m for m in columns(results) if m.spec.score is not None]
    return of_predictions[0] if of_predictions else first


def expected_measure(name: str) -> Measure:
    """The metric of that name, as scenarios expect something of it."""
    return Measure(name, is_as_expected=True)


def known_names(results: Iterable[Result] = ()) -> list[str]:
    """The metrics that results can be compared by: registered ones, and what was judged there."""
    judged = {verdict.expectation for result in results for verdict in result.verdicts}
    return [*metrics.names(), *sorted(judged - {*metrics.names()})]


def keys_in(result: Result, name: str) -> dict[str, Any]:
    """The keys besides bounds with which a result's scenario expects something of a metric."""
    expect: dict[str, dict[str, Any]] = result.settings.get("expect") or {}
    section = expect.get(name) or {}
    return {key: value for key, value in section.items() if key not in BOUNDS}


def _required_keys(name: str) -> frozenset[str]:
    """The keys of a metric that have no defaults."""
    entry = metrics.get(name)
    return frozenset() if entry is None else entry.keys().required


def _judged(name: str, result: Result) -> dict[int, float]:
    """The values behind the verdict of that name, by seed; empty where there are not all."""
    for verdict in result.verdicts:
        if verdict.expectation == name and len(verdict.figures) == len(result.histories):
            return {h.seed: value for h, value in zip(result.histories, verdict.figures)}
    return {}


def coarsest(
    spec: Metric, histories: Sequence[TrainingHistory], keys: Mapping[str, Any] = {}
) -> Step:
    """The step of a metric over several trainings: the largest, and the fewest examples."""
    steps = [spec.steps.step(history, keys) for history in histories]
    examples = [step.examples for step in steps if step.examples is not None]
    return Step(max((step.size for step in steps), default=0.0), min(examples, default=None))
