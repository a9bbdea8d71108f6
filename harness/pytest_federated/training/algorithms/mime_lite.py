"""Mime Lite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import (
    initial_optimizer,
    mean_gradient,
    train,
    zeros,
)
from pytest_federated.training.algorithms.stateful import Sent, StatefulAlgorithm
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.training.optimizers import rates


@algorithms(
    "mime_lite",
    packs=True,
    unprotected="the gradients at the round's first weights",
    fixes_updates=True,
    tff=TffComposition(
        "build_weighted_mime_lite",
        client_work="steps with the server's optimizer state; gradient at the weights",
        distributor="the weights; the optimizer state",
        aggregator="weighted means of changes and of gradients",
    ),
    # The optimizer's state goes down, too, and the gradient at the first weights up.
    traffic=lambda s: (s.weights + s.optimizer, 2 * s.trainable),
)
def mime_lite(
    inputs: AlgorithmInputs, *, weighting: Literal["examples", "uniform"] = "examples"
) -> Algorithm:
    """Mime Lite: clients train with the server's optimizer state and do not change it.

    The state, such as a momentum, is that of the client optimizer; the server updates it once a
    round with the mean gradient of the cohort at the round's first weights. Without momentum it is
    FedAvg. TFF's SGD keeps its momentum as the sum beta m + g, not as the paper's average beta m +
    (1 - beta) g: the paper's learning rate is (1 - beta) times smaller. Built by
    `tff.learning.algorithms.build_weighted_mime_lite`, or for packed clients composed of the same
    parts.

    Source: Karimireddy et al., Breaking the Centralized Barrier for Cross-Device Federated
    Learning, NeurIPS 2021 ("MimeLite"), arXiv:2008.03606.
    """
    import tensorflow_federated as tff

    if inputs.packed:
        return MimeLite(inputs, weighting)
    weightings = tff.learning.ClientWeighting
    process = tff.learning.algorithms.build_weighted_mime_lite(
        inputs.model,
        base_optimizer=rates.lasting(inputs.client_optimizer, inputs.scheduled),
        server_optimizer=inputs.server_optimizer,
        client_weighting=weightings.NUM_EXAMPLES if weighting == "examples" else weightings.UNIFORM,
        model_aggregator=inputs.aggregator,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
    return TffAlgorithm(process)


class MimeLite(StatefulAlgorithm):
    """Mime Lite with our own client work.

    As in TFF, a client's gradient is the mean over the batches of all its local steps.
    """

    def __init__(self, inputs: AlgorithmInputs, weighting: str) -> None:
        self._weighting, self._base = weighting, inputs.client_optimizer
        super().__init__(replace(inputs, client_optimizer=_unchanging(inputs.client_optimizer)))

    def server_keeps(self, specs: Sequence[Any]) -> Sequence[Any]:
        """Returns the state of the client optimizer."""
        import tensorflow as tf

        state = tf.nest.flatten(initial_optimizer(self.inputs, specs, None))
        return list(map(tf.convert_to_tensor, state))

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        """Returns those of gradients and of weights."""
        import tensorflow as tf

        return [*zeros(specs), tf.constant(0.0)]

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        optimizer = rates.scaled(self.optimizer(server, weights.trainable), data["rate"])
        gradient = mean_gradient(self.inputs, weights, data["batches"])
        trained = train(self.inputs, weights, optimizer, data["batches"])
        change = [x - y for x, y in zip(weights.trainable, trained.weights)]
        weight = self.weight(trained.examples)
        sums = [*(weight * g for g in gradient), weight]
        return Sent(change, weight, [], sums, trained.metrics)

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        import tensorflow as tf

        *total, weight = sums
        mean = [tf.math.divide_no_nan(t, weight) for t in total]
        return self.updated(self.optimizer(server, change), mean), change

    def optimizer(self, state: Sequence[Any], like: Sequence[Any]) -> Any:
        """Returns the state of the client optimizer from its tensors, for weights `like` these."""
        import tensorflow as tf

        return tf.nest.pack_sequence_as(initial_optimizer(self.inputs, like, None), state)

    def updated(self, optimizer: Any, gradient: Sequence[Any]) -> list[Any]:
        """Returns the tensors of the client optimizer's state after the server's update."""
        import tensorflow as tf

        # A function, as a user's own optimizer may need autograph.
        take_step: Any = tf.function(self._base.next)
        new, _ = take_step(optimizer, tuple(zeros(gradient)), tuple(gradient))
        return tf.nest.flatten(new)

    def weight(self, examples: Any) -> Any:
        """Returns how much a client counts in both means, given its examples, float32."""
        import tensorflow as tf

        return examples if self._weighting == "examples" else tf.constant(1.0)


def _unchanging(inner: Any) -> Any:
    """Returns the optimizer `inner`, whose steps leave its state as it is."""
    import tensorflow_federated as tff

    class Unchanging(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            return inner.initialize(specs)

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            return state, inner.next(state, weights, gradients)[1]

    return Unchanging()
