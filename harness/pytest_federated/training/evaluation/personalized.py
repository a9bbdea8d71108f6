"""The accuracy of the final model at each client, after fine-tuning on its own examples."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import numpy as np

from pytest_federated.clients.cohort import layer_keys, shuffled_examples
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Examples, inputs_of
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff, silenced
from pytest_federated.training.engine.datasets import not_rewritten
from pytest_federated.training.models.adapters.adapter import ModelAdapter
from pytest_federated.training.models.random_layers import KEY
from pytest_federated.training.optimizers.optimizer import optimizer_of
from pytest_federated.training.schema import Personalize, Training

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff

_TUNED = "tuned"


def require_tested_clients(data: FederatedData) -> None:
    """Raises DataError if fine-tuned clients cannot be judged: the task has no accuracy, or no
    client has test examples of its own.
    """
    if data.task == "regression":
        raise DataError(
            "training.personalize: fine-tuned clients are judged by accuracy; the data has numbers "
            f"(task: {data.task})"
        )
    if not any(map(len, data.client_test)):
        raise DataError(
            "training.personalize: no client has test examples of its own; data.holdout: "
            "per_client holds some out"
        )


def personalized_accuracy(
    adapter: ModelAdapter,
    weights: tff.learning.models.ModelWeights,
    data: FederatedData,
    training: Training,
    personalize: Personalize,
    seed: int,
) -> tuple[float, ...]:
    """Returns each client's accuracy (0 to 1) on what it holds out, after fine-tuning.

    Each client takes `personalize.steps` steps from the `weights` on the batches of its own
    examples, repeated where these are fewer, by
    `tff.learning.algorithms.build_personalization_eval_computation`. A client without test examples
    is left out.

    Source: Wang et al., Federated Evaluation of On-device Personalization, 2019,
    arXiv:1910.10252.
    """
    library: Any = import_tff()
    optimizer = optimizer_of(personalize.optimizer or training.client_optimizer)
    evaluate = tuning(adapter, training.local_work.batch_size, personalize.steps, optimizer)
    as_lists = library.learning.models.ModelWeights(
        list(weights.trainable), list(weights.non_trainable)
    )
    figures = []
    for client in range(len(data.clients)):
        test = data.test_examples(client)
        if not len(test):
            continue
        after = training.rounds + 1
        train = shuffled_examples(data, client, seed, after)
        (key,) = layer_keys(np.array([client]), seed, after) if adapter.draws else (None,)
        rows = OrderedDict(train_data=_rows(train, key), test_data=_rows(test, key))
        measured = evaluate(as_lists, [rows])
        figures.append(float(measured[_TUNED][0]))
    return tuple(figures)


@lru_cache(maxsize=8)
def tuning(adapter: ModelAdapter, batch_size: Union[int, float], steps: int, optimizer: Any) -> Any:
    """Returns TFF's computation that tunes and judges clients, built once for all seeds."""
    library: Any = import_tff()
    with silenced():
        return library.learning.algorithms.build_personalization_eval_computation(
            adapter.variable(),
            OrderedDict({_TUNED: _fine_tuning(adapter, batch_size, steps, optimizer)}),
            _accuracy(adapter, batch_size),
            max_num_clients=1,  # TFF returns several in no fixed order
        )


def _rows(examples: Examples, key: Optional[int]) -> tf.data.Dataset:
    import tensorflow as tf

    columns: Any = OrderedDict(x=inputs_of(examples.x), y=examples.y)
    if key is not None:
        columns[KEY] = np.full(len(examples), key, np.int32)
    return not_rewritten(tf.data.Dataset.from_tensor_slices(columns))


def _batches(rows: tf.data.Dataset, batch_size: Union[int, float]) -> tf.data.Dataset:
    """Returns a client's rows in batches, in a graph; of a share of them as `batch_sizes` has."""
    import tensorflow as tf

    if isinstance(batch_size, int):
        return rows.batch(batch_size)
    count: Any = rows.reduce(np.int64(0), lambda counted, _: counted + 1)
    share = tf.math.ceil(batch_size * tf.cast(count, tf.float64) - 1e-9)
    return rows.batch(tf.maximum(tf.cast(share, tf.int64), 1))


def _accuracy(adapter: ModelAdapter, batch_size: Union[int, float]) -> Callable[..., Any]:
    import tensorflow as tf

    count_hits = adapter.shape.task.hits
    assert count_hits is not None

    @tf.function
    def accuracy(model: Any, test: Any) -> Any:
        right, counted = tf.constant(0, tf.int64), tf.constant(0, tf.int64)
        for batch in iter(_batches(test, batch_size)):
            predictions = model.forward_pass(batch, training=False).predictions
            hits, positions = count_hits(batch["y"], predictions, adapter.gives_logits)
            right += tf.math.count_nonzero(hits)
            counted += tf.math.count_nonzero(positions)
        return tf.cast(right, tf.float32) / tf.cast(tf.maximum(counted, 1), tf.float32)

    return accuracy


def _fine_tuning(
    adapter: ModelAdapter, batch_size: Union[int, float], steps: int, tuner: Any
) -> Callable[[], Any]:
    import tensorflow as tf

    accuracy = _accuracy(adapter, batch_size)

    def build() -> Any:
        @tf.function
        def fine_tune(model: Any, train: Any, test: Any) -> Any:
            weights = tuple(model.trainable_variables)
            state = tuner.initialize(tuple(tf.TensorSpec(w.shape, w.dtype) for w in weights))
            for batch in iter(_batches(train, batch_size).repeat().take(steps)):
                with tf.GradientTape() as tape:
                    output = model.forward_pass(batch, training=True)
                gradients = tuple(tape.gradient(output.loss, weights))
                state, tuned = tuner.next(state, weights, gradients)
                for weight, value in zip(weights, tuned):
                    weight.assign(value)
            return accuracy(model, test)

        return fine_tune

    return build
