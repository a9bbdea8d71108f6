"""One client to a placement, as a `tf.data.Dataset`: TFF's own way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Protocol

import numpy as np

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.data.datasets.dataset import Examples, inputs_of
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.algorithms.algorithm import Algorithm
from pytest_federated.training.engine.datasets import not_rewritten
from pytest_federated.training.engine.update_scaling import FACTOR, HELD
from pytest_federated.training.models.random_layers import KEY

if TYPE_CHECKING:
    import tensorflow as tf


class LearningProcess(Protocol):
    """The part of `tff.learning.templates.LearningProcess` that a training needs."""

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


class TffAlgorithm(Algorithm):
    """A TFF learning process as an `Algorithm`: each client has a data set of its own."""

    def __init__(
        self, process: LearningProcess, takes_factors: bool = False, takes_held: bool = False
    ) -> None:
        """Adapts a process.

        Args:
            process: over the weights of one model, with `num_examples`, `loss` and `accuracy`
                under `client_work`, `train` in its metrics.
            takes_factors: whether each example comes with the factor by which its client
                multiplies its update, as `engine.update_scaling.scaled` has it.
            takes_held: whether each comes with the number of examples that its client holds, as
                `engine.update_scaling.weighted_by_held` has it.
        """
        self.process = process
        self.computation = process.next
        self._takes_keys = has_column(process.next.type_signature.parameter[1].member, KEY)
        self._takes_factors = takes_factors
        self._takes_held = takes_held

    @property
    def scales_updates(self) -> bool:
        return self._takes_factors

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> Any:
        return self.process.set_model_weights(self.process.initialize(), weights)

    def next(
        self, state: Any, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[Any, Mapping[str, Any]]:
        clients = self.arguments(cohort.rows, work, cohort.steps, cohort.factors, cohort.keys)
        state, measured = self.process.next(state, clients)
        return state, measured["client_work"]["train"]

    def weights(self, state: Any) -> Any:
        return self.process.get_model_weights(state)

    def arguments(
        self,
        cohort: Sequence[Examples],
        work: LocalWork,
        steps: Optional[np.ndarray] = None,
        factors: Optional[np.ndarray] = None,
        keys: Optional[np.ndarray] = None,
    ) -> Sequence[Any]:
        """Returns what the process is given for a cohort, whose examples are in training order.

        Args:
            cohort: the examples of each client.
            work: batch size and local epochs.
            steps: int (clients,), local steps that each does; all epochs when None.
            factors: float32 (clients,), what each multiplies its update by; 1 when None.
            keys: int32 (clients,), from which layers draw random numbers; needed where some do.
        """
        return arguments(
            cohort,
            work,
            steps,
            factors if self._takes_factors else None,
            self._takes_held,
            keys if self._takes_keys else None,
        )


def has_column(data: Any, name: str) -> bool:
    """Returns whether the batches of a client's data, of this TFF type, have such a column."""
    return name in dir(getattr(data, "element", None))


def arguments(
    cohort: Sequence[Examples],
    work: LocalWork,
    steps: Optional[np.ndarray] = None,
    factors: Optional[np.ndarray] = None,
    with_held: bool = False,
    keys: Optional[np.ndarray] = None,
) -> list[tf.data.Dataset]:
    """Returns each client's batches, `work.epochs` times over, or the first `work.steps`.

    Of these the first ones where `steps`, int (clients,), says how many; each example with
    its client's number of examples, float32, if `with_held`, and with its client's key and factor
    where `keys`, int32 (clients,), and `factors`, float32 (clients,), are given.
    """
    import tensorflow as tf

    columns: list[Any] = [
        OrderedDict(x=inputs_of(np.asarray(client.x)), y=client.y) for client in cohort
    ]
    if keys is not None:
        for client, key in zip(columns, keys):
            client[KEY] = np.full(len(client["y"]), key, np.int32)
    if with_held:
        for client in columns:
            client[HELD] = np.full(len(client["y"]), len(client["y"]), np.float32)
    if factors is not None:
        for client, factor in zip(columns, factors):
            client[FACTOR] = np.full(len(client["y"]), factor, np.float32)
    batches = [
        tf.data.Dataset.from_tensor_slices(client)
        .batch(work.batch_size_of(len(client["y"])))
        .repeat(work.epochs if work.steps is None else None)
        for client in columns
    ]
    if steps is not None or work.steps is not None:  # of these alone, batches would never end
        all_steps = work.steps_of(np.array([len(c) for c in cohort]))
        steps = all_steps if steps is None else steps
        # Who does all has nothing to take: each stage costs time in each round.
        ends = np.full(len(cohort), work.steps is None) & (steps == all_steps)
        batches = [b if by_itself else b.take(n) for b, n, by_itself in zip(batches, steps, ends)]
    return [not_rewritten(b) for b in batches]
