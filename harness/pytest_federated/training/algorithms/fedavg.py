"""Federated averaging."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, cast

import numpy as np

from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.internals import build_client_update
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    Weighting,
    algorithms,
)
from pytest_federated.training.engine.packed import packed_algorithm
from pytest_federated.training.engine.standard import TffAlgorithm
from pytest_federated.training.engine.update_scaling import scaled, weighted_by_held
from pytest_federated.training.optimizers import rates

if TYPE_CHECKING:
    import tensorflow_federated as tff


@algorithms(
    "fedavg",
    example={"weighting": "uniform"},
    packs=True,
    tff=TffComposition("build_weighted_fed_avg"),
)
def fedavg(inputs: AlgorithmInputs, *, weighting: Weighting = "examples") -> Algorithm:
    """FedAvg: averages the clients' changes, weighted by their numbers of examples.

    These are the examples that a client processed in the round, as TFF counts them: of two clients
    of the same size, a straggler counts less. With examples_held both count the same. `weighting`
    can also be uniform, num_batches (the client's number of local steps in the round) or loss (its
    mean loss during training, so that clients that the model serves badly count more). With a
    server optimizer other than SGD at rate 1.0 it is FedOpt (Reddi et al., ICLR 2021). Built by
    `tff.learning.algorithms.build_weighted_fed_avg`, or for packed clients composed of the same
    inputs.

    Source: McMahan et al., AISTATS 2017, algorithm 1, arXiv:1602.05629.
    """
    import tensorflow_federated as tff

    if inputs.packed:
        return packed_algorithm(
            cast("tff.learning.models.FunctionalModel", inputs.model),
            inputs.client_optimizer,
            inputs.server_optimizer,
            weighting,
            scheduled=inputs.scheduled,
            aggregator=inputs.aggregator,
            craft=inputs.craft,
        )
    if (
        inputs.scaled
        or inputs.scheduled
        or inputs.aggregator is not None
        or weighting not in ("examples", "uniform")
    ):
        work = client_training(inputs.model, inputs.client_optimizer, weighting, inputs.scheduled)
        if weighting == "examples_held":
            return compose(inputs, weighted_by_held(work), takes_held=True)
        return compose(inputs, work)
    process = tff.learning.algorithms.build_weighted_fed_avg(
        inputs.model,
        client_optimizer_fn=inputs.client_optimizer,
        server_optimizer_fn=inputs.server_optimizer,
        client_weighting=_tff_weighting(weighting),
        # Bit-identical to DATASET_REDUCE, and about four times as fast on a CPU.
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
    return TffAlgorithm(process)


def _tff_weighting(weighting: Weighting) -> tff.learning.ClientWeighting:
    """Returns TFF's weighting, or the uniform one where TFF has none."""
    import tensorflow_federated as tff

    weightings = tff.learning.ClientWeighting
    return weightings.NUM_EXAMPLES if weighting == "examples" else weightings.UNIFORM


@lru_cache(maxsize=16)
def client_training(model_fn: Any, optimizer: Any, weighting: Weighting, scheduled: bool) -> Any:
    """Returns the client work of FedAvg: one for all processes that differ only at the server.

    TFF's, which has no rates by round and no weights by metrics, or one of its parts. Weights by
    `examples_held` are uniform here.
    """
    import tensorflow_federated as tff

    if scheduled or weighting in ("num_batches", "loss"):
        return _of_parts(model_fn, optimizer, weighting, scheduled)
    return tff.learning.templates.build_model_delta_client_work(
        model_fn,
        optimizer,
        _tff_weighting(weighting),
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )


def _of_parts(
    model_fn: Callable[[], Any], optimizer: Any, weighting: Weighting, scheduled: bool
) -> Any:
    import tensorflow as tf

    tff: Any = import_tff()
    templates = tff.learning.templates
    with tf.Graph().as_default():
        model = model_fn()
        finalizers = model.metric_finalizers()
        batch_type = tff.types.tensorflow_to_type(model.input_spec)
        weights_type = tff.learning.models.weights_type_from_model(model)
    data_type = tff.SequenceType(batch_type)

    @tff.tensorflow.computation
    def no_change() -> Any:
        return rates.no_change(rates.CLIENT)

    factor_type = no_change.type_signature.result

    def train(weights: Any, data: Any, own_optimizer: Any) -> Any:
        update = build_client_update(model_fn, _tff_weighting(weighting))
        result, metrics = update(own_optimizer, weights, data)
        if weighting not in ("num_batches", "loss"):
            return result, metrics
        weight = tf.cast(finalizers[weighting](metrics[weighting]), tf.float32)
        # The uniform weight is 0 for a client whose change is not finite, and 1 otherwise.
        weight = tf.where(result.update_weight > 0, weight, 0.0)
        return templates.ClientResult(result.update, weight), metrics

    @tff.tensorflow.computation(weights_type, data_type)
    def train_client(weights: Any, data: Any) -> Any:
        return train(weights, data, optimizer)

    @tff.tensorflow.computation(weights_type, data_type, factor_type)
    def train_at_rate(weights: Any, data: Any, factor: Any) -> Any:
        return train(weights, data, rates.times(factor[rates.CLIENT], optimizer))

    @tff.federated_computation
    def initialize() -> Any:
        if scheduled:
            return tff.federated_eval(no_change, tff.SERVER)
        return tff.federated_value((), tff.SERVER)

    @tff.federated_computation(
        initialize.type_signature.result,
        tff.FederatedType(weights_type, tff.CLIENTS),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def next_round(state: Any, weights: Any, data: Any) -> Any:
        if scheduled:
            sent = weights, data, tff.federated_broadcast(state)
            result, metrics = tff.federated_map(train_at_rate, sent)
        else:
            result, metrics = tff.federated_map(train_client, (weights, data))
        measured = tff.learning.metrics.sum_then_finalize(finalizers)(metrics)
        return tff.templates.MeasuredProcessOutput(
            state, result, tff.federated_zip(OrderedDict(train=measured))
        )

    return templates.ClientWorkProcess(initialize, next_round)


def compose(inputs: AlgorithmInputs, client_work: Any, takes_held: bool = False) -> Algorithm:
    """TFF's broadcast, aggregator and finalizer around a client work of our own."""
    tff: Any = import_tff()
    templates = tff.learning.templates
    model_fn = cast("Callable[[], Any]", inputs.model)

    @tff.tensorflow.computation
    def initial_weights() -> Any:
        return tff.learning.models.ModelWeights.from_model(model_fn())

    weights_type = initial_weights.type_signature.result
    aggregator = inputs.aggregator or tff.aggregators.MeanFactory()
    if inputs.scaled:
        client_work = scaled(client_work, inputs.craft)
    process = templates.compose_learning_process(
        initial_weights,
        templates.build_broadcast_process(weights_type),
        client_work,
        aggregator.create(weights_type.trainable, tff.TensorType(np.float32)),
        templates.build_apply_optimizer_finalizer(inputs.server_optimizer, weights_type),
    )
    return TffAlgorithm(process, takes_factors=inputs.scaled, takes_held=takes_held)
