"""IFCA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pytest_federated.clients.cohort import LocalWork
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff, silenced
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    Judge,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import initial_optimizer, mean_loss, train
from pytest_federated.training.algorithms.stateful import Sent, State, StatefulAlgorithm
from pytest_federated.training.evaluation.central import Evaluation, mean


@algorithms(
    "ifca",
    example={"clusters": 3},
    packs=True,
    has_no_global_model=True,
    aggregates_itself=True,
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="losses of all models; steps on the model of the least loss",
        aggregator="weighted mean for each model, over the clients that trained it",
        distributor="the weights of all models",
    ),
)
def ifca(
    inputs: AlgorithmInputs,
    *,
    clusters: Annotated[int, Field(ge=2, description="Number of models; the paper's k.")],
    weighting: Literal["examples", "uniform"] = "uniform",
) -> Algorithm:
    """IFCA: a model for each cluster of clients, which choose theirs anew in each round.

    The server sends all models. A client takes that of the least mean loss over its training
    examples, trains it, and counts only in the mean of the clients that took the same one; a model
    that nobody takes stays as it is. This is the paper's model averaging, which counts all clients
    the same. The first model begins with the initial weights of the scenario's model, the others
    with weights drawn anew; which clusters are found depends on them, and it may be that all
    clients take the same model and the others are never trained. Accuracy and loss are those of the
    model that a client would take: on the shared test set or, where clients have test examples of
    their own (`holdout: per_client`, or a test set that says whose they are), on these. Composed of
    TFF's distributor, mean and finalizer, with our own client work.

    Source: Ghosh et al., An Efficient Framework for Clustered Federated Learning, NeurIPS 2020,
    algorithm 1, arXiv:2006.04088; the authors' code: jichan3751/ifca,
    mnist/train_cluster_mnist.py.
    """
    return _Ifca(inputs, clusters, weighting)


class _Ifca(StatefulAlgorithm):
    """Each trainable weight of the server has the models along its first axis."""

    passes: Mapping[str, int] = {"once": 1}

    def __init__(self, inputs: AlgorithmInputs, clusters: int, weighting: str) -> None:
        self._clusters, self._weighting = clusters, weighting
        super().__init__(inputs)

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> State:
        import tensorflow as tf

        state = super().initialize(weights, data, rng)
        models = [weights.trainable]
        for seed in rng.integers(2**31, size=self._clusters - 1):
            with silenced():  # as where the trainer draws the first
                tf.keras.utils.set_random_seed(int(seed))
                models.append(self.inputs.adapter.new_weights().trainable)
        stacked = [np.stack([np.asarray(w) for w in one]) for one in zip(*models)]
        all_weights = _model_weights(stacked, state.server.global_model_weights.non_trainable)
        return State(state.server._replace(global_model_weights=all_weights), state.kept)

    def shared(self, weights: Any) -> Any:
        import tensorflow as tf

        copies = [tf.stack([w] * self._clusters) for w in weights.trainable]
        return _model_weights(copies, weights.non_trainable)

    def sent(self, weights: Any) -> Any:
        """All models, of which a client sends back the change of one."""
        others = [w for w in weights.trainable for _ in range(self._clusters - 1)]
        return _model_weights(list(weights.trainable), [*weights.non_trainable, *others])

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        import tensorflow as tf

        return [tf.zeros([self._clusters])]

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        import tensorflow as tf

        losses = [
            mean_loss(self.inputs, _model(weights, cluster), data["once"])
            for cluster in range(self._clusters)
        ]
        chosen = tf.argmin(losses, output_type=tf.int32)
        own = _model(weights, chosen)
        optimizer = initial_optimizer(self.inputs, own.trainable, data["rate"])
        trained = train(self.inputs, own, optimizer, data["batches"])
        weight = trained.examples if self._weighting == "examples" else tf.constant(1.0)
        takes = tf.one_hot(chosen, self._clusters)
        change = [
            tf.tensordot(takes, x - y, axes=0) for x, y in zip(own.trainable, trained.weights)
        ]
        return Sent(change, weight, [], [weight * takes], trained.metrics)

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        import tensorflow as tf

        # From means over all clients to those over the clients of each model.
        factors = tf.math.divide_no_nan(tf.reduce_sum(sums[0]), sums[0])
        return server, [
            c * tf.reshape(factors, [self._clusters] + [1] * (len(c.shape) - 1)) for c in change
        ]

    def weights(self, state: State) -> Any:
        raise ModelError("ifca has no model that all clients share")

    def evaluate(
        self, state: State, data: FederatedData, work: LocalWork, judge: Judge
    ) -> Evaluation:
        tested = self._evaluations(state, data, judge)
        return mean((evaluation, examples) for _, evaluation, examples in tested)

    def client_evaluations(
        self, state: State, data: FederatedData, work: LocalWork, judge: Judge
    ) -> dict[int, Evaluation]:
        return {client: found for client, found, _ in self._evaluations(state, data, judge)}

    def _evaluations(
        self, state: State, data: FederatedData, judge: Judge
    ) -> Iterator[tuple[int, Evaluation, int]]:
        """Yields each tested client, with the evaluation of the model that it would take."""
        everything = state.server.global_model_weights
        models = [_model(everything, cluster) for cluster in range(self._clusters)]
        for client, examples in data.tested_by_client():
            own = data.examples(client)
            losses = [judge(model, own).loss for model in models]
            yield client, judge(models[int(np.argmin(losses))], examples), len(examples)


def _model(weights: Any, cluster: Any) -> Any:
    """Returns the `tff.learning.models.ModelWeights` of one of the models."""
    return _model_weights([w[cluster] for w in weights.trainable], weights.non_trainable)


def _model_weights(trainable: Sequence[Any], non_trainable: Sequence[Any]) -> Any:
    tff: Any = import_tff()
    return tff.learning.models.ModelWeights(trainable, non_trainable)
