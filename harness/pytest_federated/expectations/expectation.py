"""The registry of expectations: bounds of every metric, and verdicts of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Optional, Protocol

from pydantic import BaseModel, Field, create_model

from pytest_federated.core.errors import FederatedError
from pytest_federated.expectations.bounds import (
    BoundedSection,
    Bounds,
    expected_text,
    verdict_on,
)
from pytest_federated.metrics.coverage import coverage
from pytest_federated.metrics.metric import Measuring, Metric, NoValue, measured, metrics
from pytest_federated.registry.entry import Entry, Keys
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.results.record import Verdict
from pytest_federated.training.history import TrainingHistory


@dataclass(frozen=True)
class ExpectationSpec(Spec):
    """The traits of an expectation that judges by itself."""


class Judging(Protocol):
    """Judges the trainings of a scenario."""

    def __call__(self, histories: Sequence[TrainingHistory], /, *args: Any, **keys: Any) -> Verdict:
        """The verdict on the histories, one for each seed, by the keys of the scenario file."""
        ...


class Expectations(Registry[Judging, ..., Spec]):
    """Expectations by name: those that were registered, and one for each metric.

    A registered function takes the histories, one for each seed, and its keys from the scenario
    file, and returns a `Verdict`.
    """

    def _nearest(self, name: str) -> Optional[Entry[Judging, Spec]]:
        own, metric = super()._nearest(name), metrics.get(name)
        if own is not None and metric is not None:
            raise FederatedError(
                f"{self.what} {name!r} is registered by {own.registered_in}, and a metric of that "
                f"name by {metric.registered_in}: rename one of them"
            )
        return own if metric is None else _bounded(metric)

    def _add(self, entry: Entry[Judging, Spec]) -> None:
        if metric := metrics.get(entry.name):
            raise ValueError(
                f"{self.what} {entry.name!r} is already registered by {metric.registered_in}"
            )
        super()._add(entry)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in metrics

    def names(self) -> list[str]:
        """The registered names and those of the metrics, in alphabetical order."""
        return sorted({*super().names(), *metrics.names()})


expectations = Expectations(
    "expectation",
    Judging,  # pyright: ignore[reportArgumentType]  # a protocol, read by type checkers only
    ExpectationSpec,
    BoundedSection,
    plural="expectations",
    package=__package__,
)

_by_params: dict[type[BaseModel], Entry[Any, Spec]] = {}  # by those of the metric


def _bounded(metric: Entry[Measuring, Metric]) -> Entry[Judging, Spec]:
    """The expectation of the mean of a metric; its keys are those of the metric, and bounds."""
    known = _by_params.get(metric.params)
    if known is not None and known.function.__wrapped__ is metric.function:
        return known
    spec = metric.spec
    threshold = spec.values.threshold
    pair: Any = Annotated[list[threshold], Field(min_length=2, max_length=2)]
    types: dict[str, Any] = {"at_least": threshold, "at_most": threshold, "between": pair}
    fields: dict[str, Any] = {bound: (Optional[types[bound]], None) for bound in spec.bounds}
    params = create_model(metric.name, __base__=(metric.params, BoundedSection), **fields)
    own = metric.keys()
    keys = Keys(params, (*own.keywords, *spec.bounds), own.required)
    entry: Entry[Any, Any] = replace(metric, function=_judge_of(metric), keys=lambda: keys)
    _by_params[metric.params] = entry
    return entry


def _judge_of(metric: Entry[Measuring, Metric]) -> Judging:
    """What judges the mean of a metric over trainings, and those they are compared with."""
    name, measure, spec = metric.name, metric.function, metric.spec

    @functools.wraps(measure)
    def judge(*histories: Sequence[TrainingHistory], **keys: Any) -> Verdict:
        bounds = {bound: keys.pop(bound) for bound in spec.bounds}
        limits = Bounds.of(**bounds)
        expected = expected_text(limits, bounds, keys, spec.phrase)
        if some := coverage(spec, histories[0], keys):
            expected += f" ({some})"
        values: list[float] = []
        missing: list[str] = []
        for trainings in zip(*histories):
            try:
                values.append(measured(metric, *trainings, **keys))
            except NoValue as reason:
                missing.append(str(reason))
        if missing:
            note = f"{missing[0]} in {len(missing)} of {len(histories[0])} seed(s)"
            return Verdict(expectation=name, expected=expected, passed=False, note=note)
        return verdict_on(name, values, limits, expected)

    return judge
