"""Mime."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import mean_gradient, train, zeros
from pytest_federated.training.algorithms.mime_lite import MimeLite
from pytest_federated.training.algorithms.stateful import Sent
from pytest_federated.training.engine import stacks
from pytest_federated.training.optimizers import rates


@algorithms(
    "mime",
    packs=True,
    unprotected="the gradients at the round's first weights",
    fixes_updates=True,
    tff=TffComposition(
        "tff.learning.templates",
        client_work="gradient at the weights; then steps with the server's optimizer state, "
        "corrected by the cohort's gradient",
        distributor="the weights; the optimizer state; the cohort's gradient",
        aggregator="weighted mean of gradients; weighted mean of changes",
    ),
    traffic=lambda s: (s.weights + s.optimizer + s.trainable, 2 * s.trainable),
)
def mime(
    inputs: AlgorithmInputs, *, weighting: Literal["examples", "uniform"] = "examples"
) -> Algorithm:
    """Mime: as Mime Lite, with local gradients that are corrected as in SVRG.

    At the beginning of a round each client sends the gradient over all its examples at the server's
    weights, and is sent their mean c. Where the gradient of a batch is g at the client's weights
    and g_0 at the server's, a local step of the client optimizer goes along g - g_0 + c. As in
    `mime_lite` these steps use the server's optimizer state, such as a momentum, and do not change
    it: the server does so once a round, with c. Both means count clients by the examples that they
    hold, or uniformly, as the paper does. TFF's SGD keeps its momentum as the sum beta m + g, not
    as the paper's average beta m + (1 - beta) g: the paper's learning rate is (1 - beta) times
    smaller. Composed of TFF's distributor, aggregator and finalizer, with our own client work; its
    first half is a computation of its own.

    Source: Karimireddy et al., Breaking the Centralized Barrier for Cross-Device Federated
    Learning, NeurIPS 2021 ("Mime"), arXiv:2008.03606; step by step as in google/fedjax,
    fedjax/algorithms/mime.py.
    """
    return _Mime(inputs, weighting)


class _Mime(MimeLite):
    passes: Mapping[str, int] = {"once": 1}

    def __init__(self, inputs: AlgorithmInputs, weighting: str) -> None:
        super().__init__(inputs, weighting)
        self._cohort_gradient = self._build_cohort_gradient()

    def server_keeps(self, specs: Sequence[Any]) -> Sequence[Any]:
        """Returns the state of the client optimizer, and the cohort's gradient."""
        return [*super().server_keeps(specs), *zeros(specs)]

    def no_sums(self, specs: Sequence[Any]) -> Sequence[Any]:
        return []

    def train_client(
        self, weights: Any, server: Sequence[Any], kept: Sequence[Any], data: Any
    ) -> Sent:
        optimizer, cohort_gradient = self._unpacked(server, weights.trainable)
        optimizer = rates.scaled(optimizer, data["rate"])
        trained = train(
            *(self.inputs, weights, optimizer, data["batches"]),
            correct=lambda gradients, _: [g + c for g, c in zip(gradients, cohort_gradient)],
            subtract_start=True,
        )
        change = [x - y for x, y in zip(weights.trainable, trained.weights)]
        return Sent(change, self.weight(data["held"]), [], [], trained.metrics)

    def step(
        self, server: Sequence[Any], change: Sequence[Any], sums: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        optimizer, cohort_gradient = self._unpacked(server, change)
        return [*self.updated(optimizer, cohort_gradient), *cohort_gradient], change

    def before_round(self, server: Any, data: Sequence[Any]) -> Any:
        """Has the server keep the cohort's gradient."""
        gradient = self._cohort_gradient(server.global_model_weights, data)
        kept = [*server.client_work["kept"][: -len(gradient)], *gradient]
        return server._replace(client_work=OrderedDict(server.client_work, kept=kept))

    def _unpacked(self, server: Sequence[Any], like: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        """Returns the two that `server_keeps` has."""
        count = len(like)
        return self.optimizer(server[:-count], like), server[-count:]

    def _build_cohort_gradient(self) -> Any:
        """Returns the computation (weights, what each placement has) -> mean gradient."""
        import tensorflow as tf

        tff: Any = import_tff()
        weights_type = self.types.weights
        data_type = self.computation.type_signature.parameter[2].member

        def of_client(weights: Any, data: Any) -> Any:
            gradient = mean_gradient(self.inputs, weights, data["once"])
            is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradient])
            weight = tf.where(is_finite, self.weight(data["held"]), 0.0)
            return [tf.where(is_finite, weight * g, tf.zeros_like(g)) for g in gradient], weight

        def of_stack(weights: Any, data: Any) -> Any:
            # Without autograph, as in engine/packed.py.
            @tf.autograph.experimental.do_not_convert
            def run(weights: Any, stack: Any) -> Any:
                model: Any = self.inputs.model

                def gradient(client: stacks.PackedClient, _: Any) -> Sent:
                    mean = mean_gradient(self.inputs, weights, client.passes(1))
                    no_metrics = model.initialize_metrics_state()
                    return Sent(mean, self.weight(client.held), [], [], no_metrics)

                found = stacks.train_stack(model, stack, gradient, weights.trainable, False)
                return list(found[0]), found[1]

            return run(weights, data)

        of_placement = tff.tensorflow.computation(
            of_stack if self.inputs.packed else of_client, weights_type, data_type
        )

        @tff.tensorflow.computation(of_placement.type_signature.result)
        def mean(total: Any, weight: Any) -> Any:
            return [tf.math.divide_no_nan(t, weight) for t in total]

        @tff.federated_computation(
            tff.FederatedType(weights_type, tff.SERVER), tff.FederatedType(data_type, tff.CLIENTS)
        )
        def cohort_gradient(weights: Any, data: Any) -> Any:
            sent = tff.federated_map(of_placement, (tff.federated_broadcast(weights), data))
            return tff.federated_map(mean, tff.federated_sum(sent))

        return cohort_gradient
