"""What an algorithm is to the harness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Literal, Protocol, Union

from harness.errors import ModelError
from harness.registry import Registry

if TYPE_CHECKING:
    import tensorflow_federated as tff


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


# Traits of an algorithm, given when it is registered:
#   packs: it can be given packed clients.
#   fixes: keys of `training` that it sets itself; a scenario may not set them otherwise.
#   unused: keys of `training` that it has no use for.
#   by_round: it depends on how many rounds there are.
#   traffic: of `Sizes`, the bytes that a client is sent in a round, and those that it sends back;
#     the weights and a change of the trainable ones where it is not given.
algorithms: Registry[Callable[..., LearningProcess]] = Registry("algorithm")

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
class Parts:
    """What a scenario gives to every algorithm.

    Attributes:
        model: makes a new `tff.learning.models.VariableModel` at each call; for packed
            execution a `tff.learning.models.FunctionalModel`.
        client_optimizer: for the local steps.
        server_optimizer: applies the aggregated change.
        aggregator: a factory of `tff.aggregators` for the clients' changes; None for their plain
            weighted mean.
        scaled: whether clients may multiply their updates by a factor, which then comes with
            each of their batches (harness/training/execution/scaled.py); of packed clients they
            always may.
        packed: whether the process is given packed clients. Only asked of algorithms that are
            registered with ``packs=True``.
        rounds: how many there will be; only told to algorithms registered with ``by_round=True``.

    """

    model: Union[
        Callable[[], tff.learning.models.VariableModel], tff.learning.models.FunctionalModel
    ]
    client_optimizer: tff.learning.optimizers.Optimizer
    server_optimizer: tff.learning.optimizers.Optimizer
    aggregator: Any = None
    scaled: bool = False
    packed: bool = False
    rounds: int = 0


def without_aggregator(parts: Parts, name: str) -> None:
    """Refuses an aggregator, for an algorithm that sums otherwise.

    Raises:
        ModelError: there is one.
    """
    if parts.aggregator is not None:
        raise ModelError(f"{name} aggregates in its own way: leave the aggregator out")
