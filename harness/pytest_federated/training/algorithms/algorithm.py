"""What an algorithm is to pytest-federated."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, Protocol, Union

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec

if TYPE_CHECKING:
    import tensorflow_federated as tff

    from pytest_federated.clients.cohort import Cohort
    from pytest_federated.training.evaluation.central import Evaluation
    from pytest_federated.training.schema import Training


# Judges a model with these weights on held-out examples.
Judge = Callable[[Any, Examples], "Evaluation"]


class LearningProcess(Protocol):
    """The part of `tff.learning.templates.LearningProcess` that the round loop needs."""

    @property
    def initialize(self) -> Any:
        """() -> the server's state."""
        ...

    @property
    def next(self) -> Any:
        """(state, what each placement is given) -> state, metrics."""
        ...

    @property
    def get_model_weights(self) -> Any:
        """State -> weights."""
        ...

    @property
    def set_model_weights(self) -> Any:
        """(state, weights) -> state."""
        ...


class StatefulAlgorithm(abc.ABC):
    """Rounds that are more than a call of a TFF learning process.

    For algorithms whose clients keep something from round to round, or whose weights are not those
    of one model. A state is a nested structure of arrays, so that checkpoints can keep it.

    Attributes:
        round: the TFF computation of a round, which says whether rounds can be divided.

    """

    round: Any

    @abc.abstractmethod
    def start(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> Any:
        """The state before the first round.

        Args:
            weights: `tff.learning.models.ModelWeights` that a new model has.
            data: the federation.
            rng: for what the algorithm itself draws.
        """

    @abc.abstractmethod
    def next(
        self, state: Any, cohort: Cohort, training: Training, rng: np.random.Generator
    ) -> tuple[Any, Mapping[str, Any]]:
        """The state after a round, and its `num_examples`, `loss` and `accuracy` in training.

        With a private aggregator the cohort may be empty: then the state gets noise all the same.
        """

    @abc.abstractmethod
    def get_model_weights(self, state: Any) -> Any:
        """State -> weights of the one model that all clients share."""

    def sent(self, weights: Any) -> Any:
        """Of `tff.learning.models.ModelWeights` of the model, those that clients are sent."""
        return weights

    def planned_examples(self, cohort: Cohort, training: Training) -> int:
        """Examples that a round trains on, all epochs counted, where nothing goes wrong."""
        return cohort.planned_examples(training.batch_size)

    def evaluate(
        self, state: Any, data: FederatedData, training: Training, judge: Judge
    ) -> Evaluation:
        """Of the state's model on the test set; `judge` is given weights and examples."""
        return judge(self.get_model_weights(state), data.test)

    def client_accuracy(
        self, state: Any, data: FederatedData, training: Training, judge: Judge
    ) -> dict[int, float]:
        """Where clients have models of their own: how each does on what its client holds out."""
        return {}


@dataclass(frozen=True)
class TffComposition:
    """Of which parts of TFF an algorithm is made, for its page.

    Attributes:
        by: TFF's builder, or what it is composed with.
        client_work: what a client does.
        aggregator: how what the clients send is put together.
        finalizer: what the server does with that.
        distributor: what the server sends.

    """

    by: str
    client_work: str = "steps of the client optimizer"
    aggregator: str = "weighted mean"
    finalizer: str = "step of the server optimizer"
    distributor: str = "the weights"


# How much a client counts in the mean: by its examples, all the same, or by one of the figures
# that TFF's metrics give of its training.
Weighting = Literal["examples", "uniform", "num_batches", "loss"]


@dataclass(frozen=True)
class Sizes:
    """Bytes: of all weights of a model, of its trainable ones, of its client optimizer's state."""

    weights: int
    trainable: int
    optimizer: int


@dataclass(frozen=True)
class AlgorithmInputs:
    """What a scenario gives to every algorithm.

    Attributes:
        model: makes a new `tff.learning.models.VariableModel` at each call; for packed
            execution a `tff.learning.models.FunctionalModel`.
        client_optimizer: for the local steps.
        server_optimizer: applies the aggregated change.
        aggregator: a factory of `tff.aggregators` for the clients' changes; None for their plain
            weighted mean.
        scaled: whether clients may multiply their updates by a factor, which then comes with
            each of their batches (training/engine/update_scaling.py); of packed clients they
            always may.
        packed: whether the process is given packed clients. Only asked of algorithms that are
            registered with ``packs=True``.
        rounds: how many there will be; only told to algorithms registered with ``by_round=True``.
        form: the scenario's model, a `pytest_federated.training.models.adapters.Form`.
        population: how many clients there are; only told to those with ``by_population=True``.

    """

    model: Union[
        Callable[[], tff.learning.models.VariableModel], tff.learning.models.FunctionalModel
    ]
    client_optimizer: tff.learning.optimizers.Optimizer
    server_optimizer: tff.learning.optimizers.Optimizer
    aggregator: Any = None
    scaled: bool = False
    packed: bool = False
    form: Any = None
    rounds: int = 0
    population: int = 0


@dataclass(frozen=True)
class AlgorithmSpec(Spec):
    """The traits of an algorithm.

    Attributes:
        tff: what it is made of.
        packs: it can be given packed clients.
        fixes: keys of `training` that it sets itself; a scenario may not set them otherwise.
        unused: keys of `training` that it has no use for.
        by_round: it depends on how many rounds there are.
        by_population: it depends on how many clients there are.
        has_no_global_model: its clients do not end with one model that all share.
        unprotected: what clients send that does not go through the aggregator, and so without
            noise.
        refuses: keys of a scenario that it cannot do with, dotted, and why; with "model" it needs
            none.
        form: what stands in for a model where it needs none: (its keys, the data's `Shape`) to a
            `Form`.
        traffic: of `Sizes`, the bytes that a client is sent in a round, and those that it sends
            back; without it the weights, and a change of the trainable ones.

    """

    tff: TffComposition = TffComposition("its own function", *["as its function has it"] * 4)
    packs: bool = False
    fixes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    by_round: bool = False
    by_population: bool = False
    has_no_global_model: bool = False
    unprotected: str = ""
    refuses: Mapping[str, str] = field(default_factory=dict)
    form: Optional[Callable[[Any, Any], Any]] = None
    traffic: Optional[Callable[[Sizes], tuple[int, int]]] = None


class MakesAlgorithm(Protocol):
    """Makes what a scenario's rounds are run by."""

    def __call__(self, inputs: AlgorithmInputs, /, *args: Any, **keys: Any) -> Any:
        """A `LearningProcess`, or a `StatefulAlgorithm`."""
        ...


algorithms = Registry(
    "algorithm", MakesAlgorithm, AlgorithmSpec, plural="algorithms", package=__package__
)


def without_aggregator(parts: AlgorithmInputs, name: str) -> None:
    """Refuses an aggregator, for an algorithm that sums otherwise.

    Raises:
        ModelError: there is one.
    """
    if parts.aggregator is not None:
        raise ModelError(f"{name} aggregates in its own way: leave the aggregator out")
