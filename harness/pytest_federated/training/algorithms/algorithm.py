"""The interface of all algorithms, and their registry."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, Protocol, Union

import numpy as np

from pytest_federated.clients.attacks.attack import Craft
from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec
from pytest_federated.training.evaluation.central import Evaluation

if TYPE_CHECKING:
    import tensorflow_federated as tff


class Judge(Protocol):
    """Judges a model with these weights on held-out examples."""

    def __call__(self, weights: Any, examples: Examples) -> Evaluation: ...


class Algorithm(abc.ABC):
    """What trains a federation, round by round.

    A state is a nested structure of arrays, so that checkpoints can keep it; it holds what the
    server keeps from round to round, and what clients keep where they do. An algorithm has no
    random state: what it draws comes from the generators that it is given.

    Attributes:
        computation: the TFF computation of a round.

    """

    computation: Any

    @property
    def computations(self) -> Sequence[Any]:
        """The TFF computations of a round, which say whether it can be divided over workers."""
        return (self.computation,)

    @abc.abstractmethod
    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> Any:
        """Returns the state before the first round.

        Args:
            weights: the initial `tff.learning.models.ModelWeights` of a new model.
            data: the federation.
            rng: for what the algorithm itself draws.
        """

    @abc.abstractmethod
    def next(
        self, state: Any, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[Any, Mapping[str, Any]]:
        """Runs one round.

        Args:
            state: from `initialize` or the last `next`.
            cohort: who takes part, with their examples, steps and factors. It may be empty with a
                private aggregator, which then only adds noise.
            work: batch size, and local epochs or steps.
            rng: for what the algorithm itself draws in this round.

        Returns:
            The new state, and the training metrics: `num_examples`, `loss` and, where the task has
            one, `accuracy`.
        """

    @abc.abstractmethod
    def weights(self, state: Any) -> Any:
        """Returns the `tff.learning.models.ModelWeights` of the one model that clients share.

        Raises:
            ModelError: there is no such model.
        """

    @property
    def scales_updates(self) -> bool:
        """Whether clients can multiply their updates by `Cohort.factors`; attacks need this."""
        return False

    def sent(self, weights: Any) -> Any:
        """Returns those of a model's `tff.learning.models.ModelWeights` that clients are sent."""
        return weights

    def planned_examples(self, cohort: Cohort, work: LocalWork) -> int:
        """Counts the examples that a round trains on, all epochs counted, if nothing goes wrong."""
        return cohort.planned_examples(work.batch_size)

    def evaluate(
        self, state: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> Evaluation:
        """Judges the state's model on the test set, or the models where each client has its own."""
        return judge(self.weights(state), data.test)

    def client_evaluations(
        self, state: Any, data: FederatedData, work: LocalWork, judge: Judge
    ) -> dict[int, Evaluation]:
        """Judges each client's own model on what it holds out, by client.

        Empty where clients have no models of their own.
        """
        return {}


@dataclass(frozen=True)
class TffComposition:
    """The parts of TFF that an algorithm is composed of, for its page.

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


# How much a client counts in the mean: by the examples that it processed or that it holds, all the
# same, or by one of the figures that TFF's metrics give of its training.
Weighting = Literal["examples", "examples_held", "uniform", "num_batches", "loss"]


@dataclass(frozen=True)
class Sizes:
    """Bytes: of all weights of a model, of its trainable ones, of its client optimizer's state."""

    weights: int
    trainable: int
    optimizer: int


def _no_step(make: Callable[[float], Any]) -> Any:
    raise TypeError("a server step of its own needs the trait server_step of the algorithm")


@dataclass(frozen=True)
class AlgorithmInputs:
    """What a scenario gives to every algorithm.

    Attributes:
        model: makes a new `tff.learning.models.VariableModel` at each call; for packed
            execution a `tff.learning.models.FunctionalModel`.
        client_optimizer: for the local steps.
        server_optimizer: applies the aggregated change.
        server_step: builds the server optimizer of an algorithm with a step of its own, which is
            registered with `server_step`. Pass it a function from a learning rate to an optimizer:
            it applies the scenario's rate, `schedule` and `clip_norm`.
        aggregator: a factory of `tff.aggregators` for the clients' changes; None for their plain
            weighted mean.
        scaled: in standard execution, whether clients multiply their updates by a factor that
            comes with each batch (training/engine/update_scaling.py); packed clients always can.
        craft: computes the one update that all attackers of a round send
            (clients/attacks/attack.py); None if each sends its own.
        packed: whether clients come packed; only for algorithms registered with ``packs=True``.
        scheduled: whether the client optimizer's rate changes by round: then the state has the
            factor of the round, under `optimizers.rates.CLIENT`. (That of the server optimizer is
            in its own state.)
        adapter: the scenario's model, a `pytest_federated.training.models.adapters.ModelAdapter`.
        population: how many clients there are; only for those with ``by_population=True``.

    """

    model: Union[
        Callable[[], tff.learning.models.VariableModel], tff.learning.models.FunctionalModel
    ]
    client_optimizer: tff.learning.optimizers.Optimizer
    server_optimizer: tff.learning.optimizers.Optimizer
    server_step: Callable[[Callable[[float], Any]], Any] = _no_step
    aggregator: Any = None
    scaled: bool = False
    craft: Optional[Craft] = None
    packed: bool = False
    scheduled: bool = False
    adapter: Any = None
    population: int = 0


# Which SGD an algorithm is made for, and what its client optimizer may be then.
ClientSgd = Literal["plain", "with momentum"]
MADE_FOR: Mapping[ClientSgd, str] = {
    "plain": "plain SGD; allowed: {kind: sgd, learning_rate: ...}, without momentum",
    "with momentum": "SGD; allowed: {kind: sgd, learning_rate: ...}, with momentum or without",
}


@dataclass(frozen=True)
class AlgorithmSpec(Spec):
    """The traits of an algorithm.

    Attributes:
        tff: what it is made of.
        packs: it can train packed clients.
        fixes: keys of `training` that it sets itself; a scenario may not set them otherwise.
        unused: keys of `training` that it has no use for.
        by_population: it depends on how many clients there are.
        keeps_of_clients: what it stores for each client between rounds, for messages: "a model".
            Such an algorithm refuses samplings that may draw a client twice in a round.
        has_no_global_model: its clients do not end with one model that all share.
        has_no_predictions: it is judged by loss and accuracy alone.
        unprotected: what clients send that does not go through the aggregator, and so without
            noise.
        aggregates_itself: it has no use for an aggregator.
        fixes_updates: attackers cannot change what its clients send; with "standard", they can if
            the clients are packed.
        client_sgd: which SGD the client optimizer has to be, if any.
        server_step: its server takes a step of its own, at the learning rate of the server
            optimizer, which has to be plain SGD; with "at a stated rate", a scenario has to state
            that optimizer.
        refuses: keys of a scenario that it cannot be combined with, dotted, each with the reason;
            with "model" it trains without one.
        adapter: what stands in for a model where it needs none: (its keys, the data's `Shape`) to a
            `ModelAdapter`.
        traffic: of `Sizes`, the bytes that a client is sent in a round, and those that it sends
            back; without it the weights, and a change of the trainable ones.

    """

    tff: TffComposition = TffComposition("its own function", *["as its function has it"] * 4)
    packs: bool = False
    fixes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    by_population: bool = False
    keeps_of_clients: str = ""
    has_no_global_model: bool = False
    has_no_predictions: bool = False
    unprotected: str = ""
    aggregates_itself: bool = False
    fixes_updates: Union[bool, Literal["standard"]] = False
    client_sgd: Optional[ClientSgd] = None
    server_step: Union[bool, Literal["at a stated rate"]] = False
    refuses: Mapping[str, str] = field(default_factory=dict)
    adapter: Optional[Callable[[Any, Any], Any]] = None
    traffic: Optional[Callable[[Sizes], tuple[int, int]]] = None


class MakesAlgorithm(Protocol):
    """Makes an algorithm of what a scenario gives it, and of the algorithm's own keys."""

    def __call__(self, inputs: AlgorithmInputs, /, *args: Any, **keys: Any) -> Algorithm: ...


algorithms = Registry(
    "algorithm",
    MakesAlgorithm,
    AlgorithmSpec,
    plural="algorithms",
    package=__package__,
    error=ModelError,
)


def no_change(choice: Section, is_standard: bool) -> str:
    """Returns why attackers cannot change what an algorithm's clients send; empty if they can."""
    entry = algorithms.entry(choice)
    fixed = entry.spec.fixes_updates
    if not fixed or (fixed == "standard" and not is_standard):
        return ""
    where = " in standard execution" if fixed == "standard" else ""
    return f"{entry.name} gives no way to change a client's update{where}"
