"""SCAFFOLD."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from pytest_federated.clients.cohort import Cohort, LocalWork
from pytest_federated.core.errors import ModelError
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff
from pytest_federated.training.algorithms.algorithm import (
    Algorithm,
    AlgorithmInputs,
    TffComposition,
    algorithms,
)
from pytest_federated.training.algorithms.local_steps import initial_optimizer, train, types_of
from pytest_federated.training.engine.standard import arguments


class State(NamedTuple):
    """TFF's state of the server, and of all clients, along the first axis, their controls c_i."""

    server: Any
    controls: list[np.ndarray]


@algorithms(
    "scaffold",
    by_population=True,
    keeps_of_clients="a control variate",
    unprotected="the changes of its control variates",
    traffic=lambda s: (s.weights + s.trainable, 2 * s.trainable),
    tff=TffComposition(
        "tff.learning.templates",
        client_work="steps of SGD, corrected by its control variate",
        aggregator="mean of changes; sum of changes of control variates",
        distributor="the weights; the server's control variate",
    ),
)
def scaffold(
    inputs: AlgorithmInputs, *, weighting: Literal["uniform", "examples"] = "uniform"
) -> Algorithm:
    """SCAFFOLD: control variates correct the drift between clients with different data.

    A local step goes along g - c_i + c, where c_i is the client's control variate and c the mean
    over all clients. After its steps, K of them at rate eta, a client sets c_i to c_i - c + (x - y)
    / (K eta), the paper's option II, x and y being the weights before and after. The paper averages
    uniformly. Needs plain SGD as client optimizer, and a sampling that draws no client twice in a
    round: only one of its two changes of c_i would be kept, while both change c. The control
    variates of all clients are kept in memory, each as large as a model. Composed of TFF's
    distributor, aggregator and finalizer, with our own client work.

    Source: Karimireddy et al., SCAFFOLD: Stochastic Controlled Averaging for Federated Learning,
    ICML 2020, algorithm 1, arXiv:1910.06378.
    """
    return _Scaffold(inputs, weighting)


class _Scaffold(Algorithm):
    def __init__(self, inputs: AlgorithmInputs, weighting: str) -> None:
        import tensorflow as tf

        tff: Any = import_tff()
        templates = tff.learning.templates
        types, finalizers = types_of(inputs)
        self._draws = types.has_keys
        rate_key = tff.learning.optimizers.LEARNING_RATE_KEY
        keys = list(inputs.client_optimizer.initialize(tf.TensorSpec((), tf.float32)))
        if keys != [rate_key]:
            raise ModelError(
                "training.client_optimizer: scaffold's control variates are made for plain SGD; "
                "allowed: {kind: sgd, learning_rate: ...}, without momentum"
            )

        @tff.tensorflow.computation
        def initial_weights() -> Any:
            return tff.learning.models.ModelWeights.from_model(inputs.model())  # type: ignore

        @tff.tensorflow.computation
        def no_control() -> Any:
            return [tf.zeros(t.shape, t.dtype) for t in types.weights.trainable]

        control_type = no_control.type_signature.result
        distributor = templates.build_broadcast_process(types.weights)
        aggregator = (inputs.aggregator or tff.aggregators.MeanFactory()).create(
            types.weights.trainable, tff.TensorType(np.float32)
        )
        finalizer = templates.build_apply_optimizer_finalizer(
            inputs.server_optimizer, types.weights
        )

        @tff.tensorflow.computation(types.weights, control_type, control_type, types.data)
        def train_client(weights: Any, control: Any, own: Any, data: Any) -> Any:
            optimizer = initial_optimizer(inputs, types.weights)
            rate = tf.convert_to_tensor(optimizer[rate_key])
            correction = tuple(c - c_i for c, c_i in zip(control, own))
            trained = train(inputs, weights, optimizer, data, correction)
            change = [x - y for x, y in zip(weights.trainable, trained.weights)]
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(c)) for c in change])

            def counted(value: Any) -> Any:
                return tf.where(finite, value, tf.zeros_like(value))

            steps = tf.cast(trained.steps, tf.float32)
            moved = [
                counted(tf.math.divide_no_nan(d, steps * rate) - c) for d, c in zip(change, control)
            ]
            examples = trained.metrics["num_examples"]
            examples = tf.cast(examples[0] if isinstance(examples, list) else examples, tf.float32)
            weight = examples if weighting == "examples" else tf.constant(1.0)
            return (
                templates.ClientResult([counted(c) for c in change], counted(weight)),
                [c_i + m for c_i, m in zip(own, moved)],
                moved,
                tf.nest.map_structure(counted, trained.metrics),
            )

        @tff.tensorflow.computation(control_type, control_type)
        def move(control: Any, moved: Any) -> Any:
            return [c + m / inputs.population for c, m in zip(control, moved)]

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_zip(
                templates.LearningAlgorithmState(
                    tff.federated_eval(initial_weights, tff.SERVER),
                    distributor.initialize(),
                    tff.federated_eval(no_control, tff.SERVER),
                    aggregator.initialize(),
                    finalizer.initialize(),
                )
            )

        state_type = initialize.type_signature.result.member

        @tff.tensorflow.computation(state_type, types.weights)
        def set_weights(state: Any, weights: Any) -> Any:
            return templates.LearningAlgorithmState(
                weights, state.distributor, state.client_work, state.aggregator, state.finalizer
            )

        @tff.federated_computation(
            tff.FederatedType(state_type, tff.SERVER),
            tff.FederatedType(control_type, tff.CLIENTS),
            tff.FederatedType(types.data, tff.CLIENTS),
        )
        def next_round(state: Any, controls: Any, data: Any) -> Any:
            sent = distributor.next(state.distributor, state.global_model_weights)
            control = tff.federated_broadcast(state.client_work)
            result, new_controls, moved, metrics = tff.federated_map(
                train_client, (sent.result, control, controls, data)
            )
            mean = aggregator.next(state.aggregator, result.update, result.update_weight)
            done = finalizer.next(state.finalizer, state.global_model_weights, mean.result)
            control = tff.federated_map(move, (state.client_work, tff.federated_sum(moved)))
            train = tff.learning.metrics.sum_then_finalize(finalizers)(metrics)
            state = templates.LearningAlgorithmState(
                done.result, sent.state, control, mean.state, done.state
            )
            measured = tff.federated_zip(OrderedDict(train=train))
            return tff.federated_zip(state), measured, new_controls

        self._initialize, self._set_weights = initialize, set_weights
        self.computation = next_round

    def initialize(self, weights: Any, data: FederatedData, rng: np.random.Generator) -> State:
        server = self._set_weights(self._initialize(), weights)
        count = len(data.clients)
        return State(server, [np.zeros((count, *c.shape), c.dtype) for c in server.client_work])

    def next(
        self, state: State, cohort: Cohort, work: LocalWork, rng: np.random.Generator
    ) -> tuple[State, Mapping[str, Any]]:
        own = [[c[client] for c in state.controls] for client in cohort.clients]
        keys = cohort.keys if self._draws else None
        server, measured, new = self.computation(
            state.server, own, arguments(cohort.examples, work, cohort.steps, keys=keys)
        )
        controls = [c.copy() for c in state.controls]
        for client, changed in zip(cohort.clients, new):
            for control, value in zip(controls, changed):
                control[client] = value
        return State(server, controls), measured["train"]

    def weights(self, state: State) -> Any:
        return state.server.global_model_weights
