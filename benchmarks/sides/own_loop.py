"""pytest-federated, and the computation that it runs in a loop without pytest-federated.

This is the only benchmark file that uses pytest-federated's internals.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest_federated
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.context import runtime
from pytest_federated.training.engine.build import Trainer, trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.models.model import Shape, models
from pytest_federated.training.schema import Training
from workloads import BATCH, RATE, SEED, Federation, Weights

if TYPE_CHECKING:
    import tensorflow as tf
    from pytest_federated.core.schema import Section
    from pytest_federated.training.engine.standard import TffAlgorithm


@pytest_federated.model("emnist_cnn")
def emnist_cnn(shape: Shape) -> tf.keras.Model:
    """The CNN of TFF's EMNIST examples without dropout, so that nothing is random."""
    import tensorflow as tf

    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.InputLayer(shape.input_shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(shape.num_classes),
        ]
    )


def settings(federation: Federation, execution: str) -> tuple[FederatedData, Section, Training]:
    """Returns the data, model and training settings for pytest-federated."""
    work = federation.work
    data = FederatedData(
        Examples(federation.x, federation.y),
        tuple(federation.positions),
        tuple(f"client-{k}" for k in range(work.clients)),
        Examples(federation.test_x, federation.test_y),
        62 if work.is_cnn else 10,
    )
    model = "emnist_cnn" if work.is_cnn else {"kind": "mlp", "hidden": [work.hidden]}
    training = {
        "rounds": 1_000_000,
        "eval_every": 1_000_000,
        "local_epochs": work.local_epochs,
        "batch_size": BATCH,
        "client_optimizer": {"kind": "sgd", "learning_rate": RATE},
        "execution": execution,
    }
    return data, models.parse(model), Training.model_validate(training)


def trainer(federation: Federation, execution: str) -> Trainer:
    data, model, training = settings(federation, execution)
    return trainer_for(model, training, data)


def initial_weights(federation: Federation) -> Weights:
    """Returns pytest-federated's initial weights, with which all sides begin."""
    return [w.numpy() for w in trainer(federation, "standard").initial_weights(SEED).trainable]


def rounds(federation: Federation, execution: str) -> Iterator[Weights]:
    runtime().start()
    data, model, training = settings(federation, execution)
    for done in steps(data, model, training, federation.work.cohort, SEED):
        yield _weights(done.state)


def bare(federation: Federation, execution: str) -> Iterator[Weights]:
    """Runs `process.next` in a loop that creates its arguments each round, as any loop must."""
    runtime().start()
    data, _, training = settings(federation, execution)
    built = trainer(federation, execution)
    algorithm = cast("TffAlgorithm", built.algorithm)
    process = algorithm.process
    state, number = built.initial_state(SEED, data), 0
    while True:
        number += 1
        held = [Examples(*federation.examples(k, number)) for k in federation.cohort(number)]
        state = process.next(state, algorithm.arguments(held, training.local_work))[0]
        yield _weights(state)


def ready(federation: Federation, execution: str, has_steps: bool = True) -> Iterator[Weights]:
    """Runs only `process.next`, on the first round's arguments again and again."""
    runtime().start()
    data, _, training = settings(federation, execution)
    built = trainer(federation, execution)
    algorithm = cast("TffAlgorithm", built.algorithm)
    process = algorithm.process
    held = [Examples(*federation.examples(k, 1)) for k in federation.cohort(1)]
    steps = None if has_steps else np.zeros(len(held), np.int64)
    arguments = algorithm.arguments(held, training.local_work, steps)
    state = built.initial_state(SEED, data)
    while True:
        state = process.next(state, arguments)[0]
        yield _weights(state)


def no_steps(federation: Federation) -> Iterator[Weights]:
    """Runs only `process.next`, whose clients do no local steps: the call of TFF by itself."""
    return ready(federation, "packed", has_steps=False)


def local_steps(federation: Federation) -> Iterator[Weights]:
    """Trains the first round's stacks in a session of this process, without TFF's worker.

    As many at a time as there are cores, like the worker. The sums are not put together: the
    weights stay what they are.
    """
    import tensorflow as tf
    from pytest_federated.tff.imports import import_tff
    from pytest_federated.training.engine.packed import _trained

    tff: Any = import_tff()
    data, _, training = settings(federation, "packed")
    built = trainer(federation, "packed")
    algorithm = cast("TffAlgorithm", built.algorithm)
    held = [Examples(*federation.examples(k, 1)) for k in federation.cohort(1)]
    stacks = cast("list[Any]", algorithm.arguments(held, training.local_work))
    weights = built.initial_state(SEED, data).global_model_weights
    with tf.Graph().as_default() as graph:
        given = {
            name: tf.compat.v1.placeholder(value.dtype, [None, *value.shape[1:]])
            for name, value in stacks[0].items()
        }
        start = tf.nest.map_structure(lambda w: tf.compat.v1.placeholder(w.dtype, w.shape), weights)
        optimizer, model = tff.learning.optimizers.build_sgdm(RATE), built.adapter.functional()
        trained = _trained(model, optimizer, "examples", False, start, given)
    session = tf.compat.v1.Session(graph=graph)
    fed = dict(zip(tf.nest.flatten(start), tf.nest.flatten(weights)))

    def train(stack: Any) -> Any:
        return session.run(trained, {**fed, **{given[name]: stack[name] for name in given}})

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while True:
            list(threads.map(train, stacks))
            yield weights.trainable


def _weights(state: Any) -> Weights:
    return [np.asarray(w) for w in state.global_model_weights.trainable]
