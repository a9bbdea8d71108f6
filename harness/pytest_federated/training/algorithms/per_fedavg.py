"""Per-FedAvg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.core.errors import DataError
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import initial_optimizer, train
from pytest_federated.training.algorithms.stateful import Sent, State, StatefulAlgorithm


@algorithms(
    "per_fedavg",
    example={"alpha": 0.1},
    packs=True,
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="a step of SGD on one batch; a step of the client optimizer from where that "
        "began, along the gradient of the next batch where it ended",
    ),
)
def per_fedavg(
    inputs: AlgorithmInputs,
    *,
    alpha: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Learning rate of the adaptation.")
    ],
    weighting: Literal["examples", "uniform"] = "uniform",
) -> Algorithm:
    """Per-FedAvg: learns a model that each client adapts to its data in a few steps.

    A local step takes two batches, one after the other. From the weights w the first gives the
    adapted weights w - alpha g; the client optimizer, whose learning rate is the paper's beta, then
    steps from w along the gradient of the second batch at the adapted weights. This is the paper's
    first-order variant, which leaves out second derivatives; the other, Per-FedAvg (HF),
    which estimates them from two more gradients of a batch, is not here. Where a client has an odd
    number of local steps, its last batch is only looked at, so a client needs two batches in a
    round. The paper averages uniformly. Accuracy and loss are those of the model before it is
    adapted: `personalize` measures what it is for. Composed of TFF's distributor, aggregator and
    finalizer, with our own client work.

    Source: Fallah et al., Personalized Federated Learning with Theoretical Guarantees: A
    Model-Agnostic Meta-Learning Approach, NeurIPS 2020, arXiv:2002.07948. Pairs of batches as in
    CharlieDinh/pFedMe, FLAlgorithms/users/userperavg.py.
    """
    return _PerFedAvg(inputs, alpha, weighting)


class _PerFedAvg(StatefulAlgorithm):
    def __init__(self, inputs: AlgorithmInputs, alpha: float, weighting: str) -> None:
        self._weighting = weighting
        optimizer = _in_pairs(inputs.client_optimizer, alpha)
        super().__init__(replace(inputs, client_optimizer=optimizer))

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        optimizer = initial_optimizer(self.inputs, weights.trainable, data["rate"])
        trained = train(self.inputs, weights, optimizer, data["batches"])
        is_adapted, before, _ = trained.optimizer
        ends = [tf.where(is_adapted, w, a) for w, a in zip(before, trained.weights)]
        weight = trained.examples if self._weighting == "examples" else tf.constant(1.0)
        change = [x - y for x, y in zip(weights.trainable, ends)]
        return Sent(change, weight, [], [], trained.metrics)

    def next(
        self, state: State, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[State, Mapping[str, Any]]:
        if len(cohort.steps) and max(cohort.steps) < 2:
            raise DataError(
                "training.algorithm: no client of the round has a second batch, and a step of "
                f"per_fedavg takes two; needs a smaller training.batch_size ({work.batch_size}), "
                "more training.local_epochs, or larger clients"
            )
        return super().next(state, cohort, work, rng)


def _in_pairs(inner: Any, alpha: float) -> Any:
    """The optimizer `inner`, which steps from where each pair of batches began.

    Its state is whether the weights are adapted, what they were before, and the state of `inner`.
    """
    import tensorflow as tf
    import tensorflow_federated as tff

    adaptation: Any = tff.learning.optimizers.build_sgdm(alpha)

    class InPairs(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            zeros = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), specs)
            return tf.constant(False), zeros, inner.initialize(specs)

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            is_adapted, before, inner_state = state

            def where_adapted(one: Any, other: Any) -> Any:
                return tf.nest.map_structure(lambda a, b: tf.where(is_adapted, a, b), one, other)

            _, adapted = adaptation.next(adaptation.initialize(weights), weights, gradients)
            before = where_adapted(before, tuple(weights))
            inner_new, stepped = inner.next(inner_state, before, gradients)
            state = tf.logical_not(is_adapted), before, where_adapted(inner_new, inner_state)
            return state, where_adapted(tuple(stepped), tuple(adapted))

    return InPairs()
