"""Keras models."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.core.errors import FederatedError, warn_not_kept
from pytest_federated.data.datasets.dataset import inputs_of
from pytest_federated.tff.imports import silenced
from pytest_federated.tff.internals import same_keras_seeds, traced_by_default
from pytest_federated.training.final_model import FinalModel
from pytest_federated.training.models.adapters.adapter import CannotPack, ModelAdapter, shape_text
from pytest_federated.training.models.initial_weights import load_keras
from pytest_federated.training.models.keras_checks import check_fit, check_random
from pytest_federated.training.models.losses import TASK_LOSS, LossSettings, losses_of
from pytest_federated.training.models.model import Outputs, Shape
from pytest_federated.training.models.output_kind import outputs_of
from pytest_federated.training.models.plain import plain
from pytest_federated.training.models.random_layers import drawing_from, layers_of, with_keys
from pytest_federated.training.tasks.metrics import functional_metrics, keras_metrics

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff


_REGULARIZED = "the model has regularization losses, which TFF's functional models leave out"


class KerasAdapter(ModelAdapter):
    """A Keras model, with the loss of the task or that of the scenario.

    Attributes:
        model: an instance in this process, for evaluation.
        losses: those of training and of evaluation.
        build: function that makes a new model at each call.

    """

    def __init__(
        self,
        build: Callable[[], tf.keras.Model],
        shape: Shape,
        stated: Optional[Outputs] = None,
        loss: LossSettings = TASK_LOSS,
    ) -> None:
        """Builds the model and checks it.

        Args:
            build: makes a new model at each call.
            shape: that of the data.
            stated: what the scenario says of outputs.
            loss: what it says of the loss.

        Raises:
            ModelError: the model cannot be built, does not fit the data or the loss, or has other
                outputs than stated.
        """
        self.model = build()
        check_fit(self.model, shape)
        self.draws = check_random(self.model, build, shape)
        outputs = outputs_of(self.model, shape, stated)
        self.infers_probabilities = stated is None and outputs == "probabilities"
        self._layers = [self.model, *layers_of(self.model)]
        self.gives_logits = outputs == "logits"
        self.losses = losses_of(loss, shape, self.gives_logits)
        self.shape, self.build = shape, build
        self.by_positions = shape.kind == "tokens"

    def obstacle(self) -> Optional[str]:
        return self._recorded[0]

    @cached_property
    def _recorded(self) -> tuple[Optional[str], list[bool]]:
        """The obstacle, and of each variable, in order of creation, whether it is trained."""
        import tensorflow as tf

        created: list[tf.Variable] = []

        def record(make: Callable[..., tf.Variable], **settings: object) -> tf.Variable:
            created.append(make(**settings))
            return created[-1]

        # In a graph: when it runs eagerly, Keras creates more variables.
        with tf.Graph().as_default(), tf.variable_creator_scope(record):
            model = self.build()
            is_regularized = bool(model.losses)
        trained = {v.ref() for v in model.trainable_variables}
        return _obstacle(model, created, is_regularized), [v.ref() in trained for v in created]

    def variable(self) -> Callable[[], tff.learning.models.VariableModel]:
        import tensorflow_federated as tff

        def model_fn() -> tff.learning.models.VariableModel:
            with same_keras_seeds():
                built = self.build()
            model = tff.learning.models.from_keras_model(
                built,
                loss=self.losses.training,
                input_spec=self.shape.spec(),
                metrics=keras_metrics(self.shape.task, self.gives_logits),
            )
            return with_keys(model) if self.draws else model

        return model_fn

    def functional(self) -> tff.learning.models.FunctionalModel:
        return self._functional

    @cached_property
    def _functional(self) -> tff.learning.models.FunctionalModel:
        import tensorflow as tf

        weights = self.template_weights
        # Some models evaluate constants in a session while they are built. In the loop that is
        # being traced, this would wait for the loop for ever; in a function it raises.
        predict: Any = tf.function(self._predict, autograph=False)
        functional = plain(
            # Only their shapes matter: each training sets those that its seed gives.
            tuple(
                tuple(np.zeros(w.shape, w.dtype.as_numpy_dtype) for w in group)
                for group in (weights.trainable, weights.non_trainable)
            ),
            predict,
            lambda output, label, _=None: self.losses.training(y_true=label, y_pred=output),
            functional_metrics(self.shape.task, self.gives_logits),
            self.shape.spec(),
        )
        functional.draws = self.draws  # then it takes the key of a step besides its examples
        return functional

    def _predict(self, weights: Any, x: Any, training: bool = True) -> Any:
        """Returns a new model's outputs, in a graph, where these tensors are its weights.

        As in `tff.learning.models.functional_model_from_keras`, which has a function in functions.
        """
        import tensorflow as tf

        trainable, fixed = (iter(group) for group in weights)

        def tensor(_: Any, **settings: Any) -> Any:
            return next(trainable if settings.get("trainable", True) else fixed)

        x, key = x if isinstance(x, tuple) else (x, None)
        # Keras converts the layers that need it.
        with traced_by_default(), tf.variable_creator_scope(tensor):
            model = self._new_packable()
            with drawing_from(key) if key is not None else contextlib.nullcontext():
                predictions = model(x, training=training)
        if model.losses:
            raise CannotPack(_REGULARIZED)
        return predictions

    def _new_packable(self) -> tf.keras.Model:
        """Returns a new model whose weights are created as trainable only if they stay so.

        `_predict` goes by how weights are created, and a frozen layer creates trainable ones.
        """
        import tensorflow as tf

        are_trained = iter(self._recorded[1])
        graph = tf.compat.v1.get_default_graph()
        count = len(graph.get_operations()) if graph.building_function else 0

        def with_final_flag(make: Callable[..., tf.Variable], **settings: Any) -> tf.Variable:
            return make(**{**settings, "trainable": next(are_trained)})

        with tf.variable_creator_scope(with_final_flag), same_keras_seeds():
            try:
                model = self.build()
            except FederatedError as error:  # not for the reader: it can be built, but not here
                raise (error.__cause__ or error) from None
        # They would run on the placeholders of Keras' inputs, too, for which there are no values.
        for operation in graph.get_operations()[count:] if graph.building_function else ():
            if operation.op_def.is_stateful:
                raise CannotPack(f"a layer has operations with side effects ({operation.type})")
        return model

    def new_weights(self) -> tff.learning.models.ModelWeights:
        import tensorflow_federated as tff

        return tff.learning.models.ModelWeights.from_model(self.build())

    @cached_property
    def template_weights(self) -> tff.learning.models.ModelWeights:
        import tensorflow_federated as tff

        return tff.learning.models.ModelWeights.from_model(self.model)

    def loaded_weights(self, file: str) -> tff.learning.models.ModelWeights:
        import tensorflow_federated as tff

        model = self.build()
        load_keras(file, model)
        return tff.learning.models.ModelWeights.from_model(model)

    def final_model(self, weights: tff.learning.models.ModelWeights) -> FinalModel:
        self.set_weights(weights)
        self._make_callable()
        return FinalModel(tuple(self.model.get_weights()), _keras_file(self.model))

    def parameters(self) -> int:
        return _size(self.model.trainable_weights)

    def summary(self) -> tuple[tuple[str, str, int], ...]:
        # Not the layers' names: Keras numbers them on from model to model.
        return tuple(
            (type(layer).__name__, _output_text(layer), _size(layer.weights))
            for layer in self.model.layers
            if type(layer).__name__ != "InputLayer"
        )

    def set_weights(self, weights: tff.learning.models.ModelWeights) -> None:
        weights.assign_weights_to(self.model)

    def _make_callable(self) -> None:
        """Has the model's layers be such as run eagerly, and can be traced and saved.

        Once TFF has built a model in a graph, Keras' layer classes are those of its version 1,
        until the next model is built outside of a graph.
        """
        if any(hasattr(layer, "_assert_built_as_v1") for layer in self._layers):
            with silenced():
                self.build()

    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
        self._make_callable()
        predictions: Any = self.model(inputs_of(x), training=False)
        loss: Any = self.losses.evaluation(y, predictions)
        return float(loss), predictions

    def measure(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any, Any]:
        measuring = self._measuring
        with _operations_as_they_are():
            loss, predictions, hits = measuring(inputs_of(x), y)
        return float(loss), predictions, hits

    @cached_property
    def _measuring(self) -> Callable[[Any, Any], Any]:
        """What `ModelAdapter.measure` does, as one graph, in a fifth of the time."""
        import tensorflow as tf

        hits, spec = self.shape.task.hits, self.shape.spec()

        def measure(x: Any, y: Any) -> Any:
            predictions = self.model(x, training=False)
            loss = self.losses.evaluation(y, predictions)
            return loss, predictions, hits and hits(y, predictions, self.gives_logits)

        self._make_callable()
        measuring: Any = tf.function(measure, input_signature=[spec["x"], spec["y"]])
        measuring.get_concrete_function()  # while the model can be called
        return measuring


@contextlib.contextmanager
def _operations_as_they_are() -> Iterator[None]:
    """Has TensorFlow run a graph's operations as they run call by call.

    What it fuses otherwise may be rounded otherwise, and loses values that are not finite.
    """
    import tensorflow as tf

    optimizer, off = tf.config.optimizer, "disable_meta_optimizer"
    before = optimizer.get_experimental_options().get(off, False)
    optimizer.set_experimental_options({off: True})
    try:
        yield
    finally:
        optimizer.set_experimental_options({off: before})


def _obstacle(model: Any, created: Sequence[Any], is_regularized: bool) -> Optional[str]:
    """Returns why a model that created these variables cannot be packed, if they show it."""
    if is_regularized:
        return _REGULARIZED
    if any(hasattr(v, "_should_cast") for v in model.variables):
        return "the model has mixed precision, for which Keras needs variables"
    # TFF's functional models take weights in the order in which the model creates them.
    for group in (model.trainable_variables, model.non_trainable_variables):
        order = [v.ref() for v in group]
        if [v.ref() for v in created if v.ref() in order] != order:
            return "the model does not make its variables in the order of its layers"
    if len(created) != len(model.variables):
        return "the model makes variables that are not its weights"
    return None


def _keras_file(model: tf.keras.Model) -> Optional[bytes]:
    """Returns the content of a .keras file of the model; None, and a warning, if Keras refuses."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.keras")
        try:
            with silenced():
                model.save(file)
        except Exception as error:  # Keras raises whatever a layer's get_config does
            warn_not_kept("the .keras file of the model", error)
            return None
        return file.read_bytes()


def _size(weights: Sequence[Any]) -> int:
    return sum(int(w.shape.num_elements() or 0) for w in weights)


def _output_text(layer: Any) -> str:
    """Returns a layer's output shape; empty if it is used more than once or has several outputs."""
    predictions: Any = getattr(layer, "output_shape", None)
    is_one = isinstance(predictions, tuple) and not any(isinstance(n, tuple) for n in predictions)
    return shape_text(predictions[1:]) if is_one else ""
