"""What the definition of a metric holds, and the registry of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, Literal, Optional, Protocol

from pytest_federated.core.schema import is_number
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.metrics.needs import Lack, Measured, Needs
from pytest_federated.metrics.resolution import NONE, TEST_EXAMPLE, Resolution, constant
from pytest_federated.metrics.scales import SCALES, Margin, Positive, Scale, ScaleName
from pytest_federated.registry.entry import Entry
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.training.history import TrainingHistory

Direction = Literal["higher", "lower", "neither"]
BOUNDS = ("at_least", "at_most", "between")


class NoValue(Exception):
    """A training has no value of the metric; the message says why, such as ``not reached``."""


@dataclass(frozen=True)
class Reference:
    """Another training of the same seed, which a metric compares with.

    Attributes:
        algorithm: the same scenario, trained by this algorithm; empty for a variant.
        by_all: whether all clients take part in every round there, whatever the scenario says, and
            none straggles or attacks.
        variant: another variant of the scenario's matrix, such as ``alpha=100``.

    """

    algorithm: str = ""
    by_all: bool = False
    variant: str = ""


@dataclass(frozen=True)
class Metric(Spec):
    """All that is to be known of a metric besides its name and how it is measured.

    Attributes:
        title: heads its column in tables; the name where it is empty.
        unit: such as ``nats``; empty for a share, and where there is none.
        direction: which values are better.
        scale: what its values are, and so what a threshold may be: "share" (0 to 1), "difference"
            (of two shares), "count" (0, 1, ...), "positive count" (1, 2, ...), "positive", "not
            negative", "loss" (usually 0 or more), or "number" (any).
        resolution: in what steps it comes; where it is None, a share comes in test examples and a
            count in ones.
        margin: the least difference of two runs that matters, at least one step; where it is None,
            that of the scale.
        weight: its share of the scenario's false alarms, where other metrics have 1.
        bounds: which of ``at_least``, ``at_most`` and ``between`` make sense.
        phrase: how ``at_most`` reads, such as ``{target:g} by round {at_most}``.
        so_far: gives the least and the greatest value that are still possible after the first
            rounds of a training, from these and the keys; None where nothing is certain before the
            end.
        reference: gives the training that it compares with, from the validated keys; None where it
            needs no other.
        is_wall_time: whether it depends on the machine and its load: judged only on request, and in
            no baseline.
        is_in_every_baseline: whether baselines hold it though nothing is expected of it.
        accuracies: returns the accuracies of single clients behind a value, of which a history may
            hold those of some clients only (see `coverage`); None for any other metric.
        worst_of: returns the values of the measured clients, in order, of which the metric is the
            worst; empty where the keys ask for another. None for any other metric.
        tasks: those that it is for; all where there are none.
        score: scores predictions by labels, see `prediction.prediction_metric`; None for a metric
            of the history alone.
        scored_for: tasks for which it is measured though nothing is expected of it.
        of_unseen: whether these clients are those that never train.
        needs: says what a scenario lacks for it to be measured; None where any scenario will do.
        column: its place among the columns of reports and exports, the lowest first; None for a
            metric that reports show only where something is expected of it.
        is_optional: whether its column is left out if no training has a value.
        is_compared_too: whether comparisons of variants show it beside the metric that they are by.

    """

    title: str = ""
    unit: str = ""
    direction: Direction = "neither"
    scale: ScaleName = "number"
    resolution: Optional[Resolution] = None
    margin: Optional[Margin] = None
    weight: Positive = 1.0
    bounds: Sequence[str] = BOUNDS
    phrase: str = ""
    so_far: Optional[Callable[..., tuple[float, float]]] = None
    reference: Optional[Callable[[Any], Reference]] = None
    is_wall_time: bool = False
    is_in_every_baseline: bool = False
    accuracies: Optional[Callable[[TrainingHistory, Mapping[str, Any]], Sequence[float]]] = None
    worst_of: Optional[
        Callable[[TrainingHistory, Mapping[str, Any]], Sequence[Optional[float]]]
    ] = None
    tasks: Sequence[TaskKind] = ()
    score: Optional[Callable[..., Any]] = None
    scored_for: Sequence[TaskKind] = ()
    of_unseen: bool = False
    needs: Optional[Needs] = None
    column: Optional[int] = None
    is_optional: bool = False
    is_compared_too: bool = False

    def is_for(self, task: TaskKind) -> bool:
        """Whether it is for data of a task."""
        return not self.tasks or task in self.tasks

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is, 0 where neither."""
        return {"higher": 1, "lower": -1, "neither": 0}[self.direction]

    @property
    def values(self) -> Scale:
        """What its values are."""
        return SCALES[self.scale]

    @property
    def steps(self) -> Resolution:
        """In what steps it comes."""
        if self.resolution is not None:
            return self.resolution
        if self.values.standard_error is not None:
            return TEST_EXAMPLE
        return NONE if self.values.grid is None else constant(self.values.grid)

    @property
    def least(self) -> Margin:
        """The least difference of two runs that matters."""
        return self.values.margin if self.margin is None else self.margin

    @property
    def default_bound(self) -> str:
        """The bound that says what is good enough where nothing else does."""
        return "at_least" if self.sign > 0 else "at_most"


class Measuring(Protocol):
    """Measures one training."""

    def __call__(self, history: TrainingHistory, /, *args: Any, **keys: Any) -> float:
        """The value of a training; with the training that the metric compares it with, if any.

        Raises:
            NoValue: it has none.

        """
        ...


metrics = Registry(
    "metric", Measuring, Metric, plural="metrics", package=__package__, passes=(NoValue,)
)


def measured(entry: Entry[Measuring, Metric], *histories: TrainingHistory, **keys: Any) -> float:
    """Returns the value of a training by a metric; others, if any, are what it is compared with.

    Raises:
        NoValue: it has none.
        FederatedError: the metric is a user's, and raised, or gave no number.
    """
    value = entry.run(*histories, **keys)
    if not is_number(value):
        raise entry.gave(value, "a number, or raise pytest_federated.NoValue")
    return value  # pyright: ignore[reportReturnType]  # a number


def lack_of(name: str, keys: Any, scenario: Measured) -> Optional[Lack]:
    """Returns what a scenario lacks for a metric with these validated keys; None for nothing.

    Raises:
        FederatedError: `needs` of a metric that is not ours raised, or gave something else.

    """
    entry = metrics.get(name)
    if entry is None or entry.spec.needs is None:
        return None
    asking = replace(entry, function=entry.spec.needs)
    lack = asking.run(keys, scenario)
    if lack is not None and not isinstance(lack, Lack):
        raise asking.gave(lack, "a Lack, or None, as what it needs")
    return lack


def spec_of(name: str) -> Metric:
    """The definition of a metric; of one that is not registered, such as one of a conftest.py that
    nobody has loaded, only its name is known.
    """
    entry = metrics.get(name)
    return Metric() if entry is None else entry.spec
