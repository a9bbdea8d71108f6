"""Training on one client's examples, for algorithms that are not built by TFF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional, cast

from pytest_federated.core.errors import ModelError
from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.internals import build_training_loop
from pytest_federated.training.algorithms.algorithm import MADE_FOR, AlgorithmInputs, ClientSgd
from pytest_federated.training.engine.stacks import total_gradient, total_loss, train_steps
from pytest_federated.training.engine.standard import has_column
from pytest_federated.training.models.random_layers import KEY
from pytest_federated.training.optimizers import rates

# (gradients, weights) to the gradients that a step takes.
Correct = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]


class Types(NamedTuple):
    """TFF types of a model's weights, of its batches, and of its optimizer's state.

    Packed clients have no batches of their own; then `data` is None.
    """

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

    @property
    def examples(self) -> Any:
        """How many examples it processed, float32."""
        import tensorflow as tf

        count = self.metrics["num_examples"]
        return tf.cast(count[0] if isinstance(count, list) else count, tf.float32)


def types_of(inputs: AlgorithmInputs) -> tuple[Types, Any]:
    """The types, and the finalizers of the model's metrics; those of packed clients have none."""
    import tensorflow as tf

    tff: Any = import_tff()
    data = finalizers = None
    if not inputs.packed:
        with tf.Graph().as_default():
            model = cast("Callable[[], Any]", inputs.model)()
            data = tff.SequenceType(tff.types.tensorflow_to_type(model.input_spec))
            finalizers = model.metric_finalizers()

    @tff.tensorflow.computation
    def initialize() -> Any:
        weights = new_weights(inputs)
        return weights, initial_optimizer(inputs, weights.trainable, None)

    weights_type, optimizer_type = initialize.type_signature.result
    return Types(weights_type, data, optimizer_type), finalizers


def new_weights(inputs: AlgorithmInputs) -> Any:
    """Inside a `tff.tensorflow.computation`: the `tff.learning.models.ModelWeights` of a model."""
    import tensorflow as tf

    tff: Any = import_tff()
    model: Any = inputs.model
    if not inputs.packed:
        return tff.learning.models.ModelWeights.from_model(model())
    groups = ([tf.convert_to_tensor(w) for w in group] for group in model.initial_weights)
    return tff.learning.models.ModelWeights(*groups)


def alone(inputs: AlgorithmInputs, types: Types) -> Alone:
    """Returns the computations that train a model by itself, for the types of `types_of`."""
    tff: Any = import_tff()

    @tff.tensorflow.computation
    def initial() -> Any:
        return initial_optimizer(inputs, types.weights.trainable, None)

    @tff.tensorflow.computation(types.weights, types.optimizer, types.data)
    def train_alone(weights: Any, optimizer: Any, data: Any) -> Any:
        trained = train(inputs, weights, optimizer, data)
        new = tff.learning.models.ModelWeights(trained.weights, weights.non_trainable)
        return new, trained.optimizer, trained.metrics

    return Alone(initial, train_alone)


def initial_optimizer(inputs: AlgorithmInputs, trained: Sequence[Any], rate: Any) -> Any:
    """The state of the client optimizer before the first step on these weights, or their types.

    With its learning rate times `rate`, if that is not None.
    """
    import tensorflow as tf

    specs = tuple(tf.TensorSpec(t.shape, t.dtype) for t in trained)
    return rates.scaled(inputs.client_optimizer.initialize(specs), rate)


def train(
    inputs: AlgorithmInputs,
    weights: Any,
    optimizer: Any,
    data: Any,
    correct: Optional[Correct] = None,
    trained: Optional[Sequence[int]] = None,
    subtract_start: bool = False,
) -> Trained:
    """Inside a `tff.tensorflow.computation`: a step of the client optimizer for each batch.

    Args:
        inputs: those of the scenario.
        weights: `tff.learning.models.ModelWeights` to begin with.
        optimizer: the state of the client optimizer to begin with.
        data: a `tf.data.Dataset` of batches; of a packed client a `stacks.PackedClient`.
        correct: (gradients, weights before the step) to the gradients of the step.
        trained: positions of the trainable weights that the steps change; all when None. The
            optimizer's state, `correct` and the weights that are returned are of these.
        subtract_start: whether the gradient of the same batch at `weights` is subtracted from each
            gradient, before `correct`.
    """
    import tensorflow as tf

    tff: Any = import_tff()

    def step_of_optimizer(state: Any, current: Any, gradients: Any, _: Any = None) -> Any:
        gradients = tuple(gradients)
        if correct is not None:
            gradients = tuple(correct(gradients, current))
        return inputs.client_optimizer.next(state, current, gradients)

    if inputs.packed:
        parts = inputs.model, data, weights, optimizer, step_of_optimizer
        after, state, metrics = train_steps(*parts, trained, subtract_start)
        return Trained(list(after), state, data.steps, metrics)
    # With `subtract_start`, a second one keeps the first weights; its metrics are of no use.
    models = [cast("Callable[[], Any]", inputs.model)() for _ in range(1 + subtract_start)]
    variables = [tff.learning.models.ModelWeights.from_model(model) for model in models]
    loop = build_training_loop()

    def chosen_of(everything: Any) -> tuple[Any, ...]:
        return tuple(everything if trained is None else (everything[i] for i in trained))

    chosen = chosen_of(variables[0].trainable)

    def gradient(model: Any, of_model: Any, batch: Any) -> Any:
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch, training=True)
        return tape.gradient(output.loss, chosen_of(of_model.trainable))

    @tf.function
    def run(weights: Any, optimizer: Any, data: Any) -> Any:
        for of_model in variables:
            tf.nest.map_structure(lambda v, w: v.assign(w), of_model, weights)

        def step(carried: Any, batch: Any) -> Any:
            steps, state = carried
            gradients, *first = (gradient(*one, batch) for one in zip(models, variables))
            if first:
                gradients = [g - f for g, f in zip(gradients, first[0])]
            state, updated = step_of_optimizer(state, chosen, gradients)
            for variable, value in zip(chosen, updated):
                variable.assign(value)
            return steps + 1, state

        steps, state = loop(step, data, lambda: (tf.constant(0), optimizer))
        after = [v.read_value() for v in chosen]
        return after, state, steps, models[0].report_local_unfinalized_metrics()

    return Trained(*run(weights, optimizer, data))


def zeros(like: Sequence[Any]) -> list[Any]:
    """Returns a tensor of zeros for each tensor or `tf.TensorSpec`."""
    import tensorflow as tf

    return [tf.zeros(tensor.shape, tensor.dtype) for tensor in like]


def sgd_state_keys(inputs: AlgorithmInputs, name: str, sgd: ClientSgd) -> tuple[str, str]:
    """Returns the names of learning rate and momentum in the state of TFF's SGD.

    Args:
        inputs: those of the scenario.
        name: of the algorithm.
        sgd: the trait `client_sgd` of the algorithm.

    Raises:
        ModelError: the client optimizer is another one, as one of the user's may be.
    """
    import tensorflow as tf

    tff: Any = import_tff()
    rate, momentum = tff.learning.optimizers.LEARNING_RATE_KEY, "momentum"
    state = inputs.client_optimizer.initialize(tf.TensorSpec((), tf.float32))
    keys = set(state) if isinstance(state, Mapping) else set()
    if keys != {rate} and (sgd == "plain" or keys != {rate, momentum, "accumulator"}):
        raise ModelError(f"training.client_optimizer: {name} is made for {MADE_FOR[sgd]}")
    return rate, momentum


def mean_loss(inputs: AlgorithmInputs, weights: Any, data: Any) -> Any:
    """Inside a `tff.tensorflow.computation`: the mean loss over a client's examples, float32.

    Args:
        inputs: those of the scenario.
        weights: `tff.learning.models.ModelWeights`.
        data: as of `train`.
    """
    import tensorflow as tf

    if inputs.packed:
        return tf.math.divide_no_nan(*total_loss(inputs.model, data, weights))

    def loss(model: Any, trainable: Any, batch: Any) -> tuple[Any, Any]:
        output = model.forward_pass(batch, training=False)
        return [output.loss], output.num_examples

    return _mean(inputs, weights, data, loss, [tf.constant(0.0)])[0]


def mean_gradient(inputs: AlgorithmInputs, weights: Any, data: Any) -> list[Any]:
    """The same for the gradient of the loss: a tensor for each trainable weight."""
    import tensorflow as tf

    if inputs.packed:
        total, count = total_gradient(inputs.model, data, weights)
        return [tf.math.divide_no_nan(t, count) for t in total]

    def gradient(model: Any, trainable: Any, batch: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch, training=True)
        return tape.gradient(output.loss, trainable), output.num_examples

    return _mean(inputs, weights, data, gradient, zeros(weights.trainable))


def _mean(
    inputs: AlgorithmInputs,
    weights: Any,
    data: Any,
    of_batch: Callable[[Any, Any, Any], tuple[Sequence[Any], Any]],
    nothing: Sequence[Any],
) -> list[Any]:
    """Returns the means over a client's examples of what (model, its variables, batch) gives."""
    import tensorflow as tf

    tff: Any = import_tff()
    model = cast("Callable[[], Any]", inputs.model)()
    variables = tff.learning.models.ModelWeights.from_model(model)
    loop = build_training_loop()

    @tf.function
    def run(weights: Any, data: Any) -> Any:
        tf.nest.map_structure(lambda v, w: v.assign(w), variables, weights)

        def add(sums: Any, batch: Any) -> Any:
            means, examples = of_batch(model, tuple(variables.trainable), batch)
            count = tf.cast(examples, tf.float32)
            totals = tuple(total + count * mean for total, mean in zip(sums[0], means))
            return totals, sums[1] + count

        totals, count = loop(add, data, lambda: (tuple(nothing), tf.constant(0.0)))
        return [tf.math.divide_no_nan(total, count) for total in totals]

    return run(weights, data)
