"""Training on one client's examples, for algorithms that are not built by TFF."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional, cast

from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.internals import build_training_loop
from pytest_federated.training.algorithms.algorithm import AlgorithmInputs
from pytest_federated.training.engine.standard import has_column
from pytest_federated.training.models.random_layers import KEY


class Types(NamedTuple):
    """TFF types of a model's weights, of its batches, and of its optimizer's state."""

    weights: Any
    data: Any
    optimizer: Any

    @property
    def has_keys(self) -> bool:
        """Whether a batch has a column of keys, as of `models.random_layers.with_keys`."""
        return has_column(self.data, KEY)


class Alone(NamedTuple):
    """TFF computations of a model that is trained by itself, and not averaged.

    Attributes:
        initial: () -> the state of the client optimizer before the first step.
        train: (weights, state of the client optimizer, batches) -> new weights, new state of the
            optimizer, metrics that are not yet finalized.

    """

    initial: Any
    train: Any


class Trained(NamedTuple):
    """What local training gives: weights, state of the optimizer, int32 number of steps, metrics.

    The metrics are those that `tff.learning.models.VariableModel` reports, not yet finalized.
    """

    weights: list[Any]
    optimizer: Any
    steps: Any
    metrics: Any


def types_of(inputs: AlgorithmInputs) -> tuple[Types, Any]:
    """The types, and the finalizers of the model's metrics."""
    import tensorflow as tf

    tff: Any = import_tff()
    with tf.Graph().as_default():
        model = cast("Callable[[], Any]", inputs.model)()
        weights = tff.learning.models.weights_type_from_model(model)
        data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))
        finalizers = model.metric_finalizers()

    @tff.tensorflow.computation
    def initialize() -> Any:
        return initial_optimizer(inputs, weights)

    return Types(weights, data, initialize.type_signature.result), finalizers


def alone(inputs: AlgorithmInputs, types: Types) -> Alone:
    """Returns the computations that train a model by itself, for the types of `types_of`."""
    tff: Any = import_tff()

    @tff.tensorflow.computation
    def initial() -> Any:
        return initial_optimizer(inputs, types.weights)

    @tff.tensorflow.computation(types.weights, types.optimizer, types.data)
    def train_alone(weights: Any, optimizer: Any, data: Any) -> Any:
        trained = train(inputs, weights, optimizer, data)
        new = tff.learning.models.ModelWeights(trained.weights, weights.non_trainable)
        return new, trained.optimizer, trained.metrics

    return Alone(initial, train_alone)


def initial_optimizer(inputs: AlgorithmInputs, weights_type: Any) -> Any:
    """The state of the client optimizer before the first step."""
    import tensorflow as tf

    specs = tuple(tf.TensorSpec(t.shape, t.dtype) for t in weights_type.trainable)
    return inputs.client_optimizer.initialize(specs)


def train(
    inputs: AlgorithmInputs,
    weights: Any,
    optimizer: Any,
    data: Any,
    correction: Optional[Any] = None,
) -> Trained:
    """Inside a `tff.tensorflow.computation`: a step of the client optimizer for each batch.

    Args:
        inputs: those of the scenario, not packed.
        weights: `tff.learning.models.ModelWeights` to begin with.
        optimizer: the state of the client optimizer to begin with.
        data: a `tf.data.Dataset` of batches.
        correction: what is added to each gradient.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    model = cast("Callable[[], Any]", inputs.model)()
    variables = tff.learning.models.ModelWeights.from_model(model)
    loop = build_training_loop()

    @tf.function
    def run(weights: Any, optimizer: Any, data: Any, correction: Any) -> Any:
        tf.nest.map_structure(lambda v, w: v.assign(w), variables, weights)

        def step(carried: Any, batch: Any) -> Any:
            steps, state = carried
            with tf.GradientTape() as tape:
                output = model.forward_pass(batch, training=True)
            gradients = tuple(tape.gradient(output.loss, variables.trainable))
            if correction is not None:
                gradients = tuple(g + c for g, c in zip(gradients, correction))
            state, updated = inputs.client_optimizer.next(
                state, tuple(variables.trainable), gradients
            )
            for variable, value in zip(variables.trainable, updated):
                variable.assign(value)
            return steps + 1, state

        steps, state = loop(step, data, lambda: (tf.constant(0), optimizer))
        trained = [v.read_value() for v in variables.trainable]
        return trained, state, steps, model.report_local_unfinalized_metrics()

    return Trained(*run(weights, optimizer, data, correction))
