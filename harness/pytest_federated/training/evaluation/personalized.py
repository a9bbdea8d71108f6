"""How well each client does with the final model, once it has fine-tuned it on its own examples."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Callable, cast

from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.tff.imports import import_tff, silenced
from pytest_federated.training.optimizers.optimizer import optimizer_of
from pytest_federated.training.schema import Personalize, Training

if TYPE_CHECKING:
    import tensorflow as tf

    from pytest_federated.training.engine.build import Process

_TUNED = "tuned"


def personalized_accuracy(
    process: Process,
    state: Any,
    data: FederatedData,
    training: Training,
    chosen: Personalize,
    seed: int,
) -> tuple[float, ...]:
    """Accuracy (0 to 1) of each client on what it holds out for testing, after fine-tuning.

    Each client takes `chosen.steps` steps from the model of that state on the batches of its own
    examples, again and again where these are fewer, by
    `tff.learning.algorithms.build_personalization_eval_computation`. A client that holds nothing
    out is left out.

    Raises:
        DataError: no client holds anything out.

    Source: Wang et al., Federated Evaluation of On-device Personalization, 2019,
    arXiv:1910.10252.
    """
    if not any(map(len, data.client_test)):
        raise DataError("training.personalize needs clients that hold examples out for testing")
    tff: Any = import_tff()
    optimizer = chosen.optimizer or training.client_optimizer
    with silenced():
        evaluate = tff.learning.algorithms.build_personalization_eval_computation(
            process.form.variable(),
            OrderedDict({_TUNED: _fine_tuning(process, training, chosen, optimizer)}),
            _accuracy(process, training.batch_size),
            max_num_clients=1,  # TFF gives several in no order
        )
    given = process.learning.get_model_weights(state)
    weights = tff.learning.models.ModelWeights(list(given.trainable), list(given.non_trainable))
    figures = []
    for client in range(len(data.clients)):
        test = data.test_examples(client)
        if not len(test):
            continue
        own = shuffled_examples(data, client, seed, training.rounds + 1)
        found = evaluate(weights, [OrderedDict(train_data=_rows(own), test_data=_rows(test))])
        figures.append(float(found[_TUNED][0]))
    return tuple(figures)


def _rows(examples: Examples) -> tf.data.Dataset:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(cast("Any", OrderedDict(x=examples.x, y=examples.y)))


def _accuracy(process: Process, batch_size: int) -> Callable[..., Any]:
    import tensorflow as tf

    @tf.function
    def accuracy(model: Any, test: Any) -> Any:
        right, counted = tf.constant(0, tf.int64), tf.constant(0, tf.int64)
        for batch in iter(test.batch(batch_size)):
            given = model.forward_pass(batch, training=False).predictions
            hits, positions = process.form.shape.task.hits(batch["y"], given)
            right += tf.math.count_nonzero(hits)
            counted += tf.math.count_nonzero(positions)
        return tf.cast(right, tf.float32) / tf.cast(tf.maximum(counted, 1), tf.float32)

    return accuracy


def _fine_tuning(
    process: Process, training: Training, chosen: Personalize, optimizer: Any
) -> Callable[[], Any]:
    import tensorflow as tf

    accuracy = _accuracy(process, training.batch_size)
    tuner = optimizer_of(optimizer)

    def build() -> Any:
        @tf.function
        def fine_tune(model: Any, train: Any, test: Any) -> Any:
            weights = tuple(model.trainable_variables)
            state = tuner.initialize(tuple(tf.TensorSpec(w.shape, w.dtype) for w in weights))
            for batch in iter(train.batch(training.batch_size).repeat().take(chosen.steps)):
                with tf.GradientTape() as tape:
                    output = model.forward_pass(batch, training=True)
                gradients = tuple(tape.gradient(output.loss, weights))
                state, tuned = tuner.next(state, weights, gradients)
                for weight, value in zip(weights, tuned):
                    weight.assign(value)
            return accuracy(model, test)

        return fine_tune

    return build
