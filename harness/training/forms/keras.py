"""Keras models."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from harness.runtime.imports import silenced
from harness.training.forms.base import Form, shape_text
from harness.training.models import Shape
from harness.training.models.weights import load_keras
from harness.training.tasks.metrics import functional_metrics, keras_accuracy, keras_loss

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff


class KerasForm(Form):
    """A Keras model, with the loss of the task.

    Attributes:
        model: one of its structure in this process, for evaluation.
        loss: mean loss over a batch, of (labels, outputs).
        build: makes a new model at each call.

    """

    def __init__(self, build: Callable[[], tf.keras.Model], shape: Shape, are_logits: bool) -> None:
        """`build` makes a new model at each call.

        Raises:
            ModelError: the model cannot be built or does not fit the data.
        """
        self.model = build()
        self._layers = [m for m in (self.model, *self.model.submodules) if hasattr(m, "call")]
        self.loss = keras_loss(shape.task, are_logits)
        self.shape, self.build = shape, build
        self.by_positions = shape.kind == "tokens"

    def obstacle(self) -> Optional[str]:
        return self._obstacle

    @cached_property
    def _obstacle(self) -> Optional[str]:
        import tensorflow as tf

        made: list[tf.Variable] = []

        def record(make: Callable[..., tf.Variable], **settings: object) -> tf.Variable:
            made.append(make(**settings))
            return made[-1]

        # In a graph: where Keras runs eagerly it makes variables of its own.
        with tf.Graph().as_default(), tf.variable_creator_scope(record):
            model = self.build()
            is_regularised = bool(model.losses)
        if is_regularised:
            return "the model has regularisation losses, which TFF's functional models leave out"
        # TFF's functional models take weights in the order in which the model makes its variables.
        for kept in (model.trainable_variables, model.non_trainable_variables):
            order = [v.ref() for v in kept]
            if [v.ref() for v in made if v.ref() in order] != order:
                return "the model does not make its variables in the order of its layers"
        if len(made) != len(model.variables):
            return "the model makes variables that are not its weights"
        return None

    def variable(self) -> Callable[[], tff.learning.models.VariableModel]:
        import tensorflow_federated as tff

        def model_fn() -> tff.learning.models.VariableModel:
            return tff.learning.models.from_keras_model(
                self.build(),
                loss=self.loss,
                input_spec=self.shape.spec(),
                metrics=[lambda: keras_accuracy(self.shape.task)],
            )

        return model_fn

    def functional(self) -> tff.learning.models.FunctionalModel:
        return self._functional

    @cached_property
    def _functional(self) -> tff.learning.models.FunctionalModel:
        import tensorflow_federated as tff

        model = tff.learning.models.functional_model_from_keras(
            self.build, loss_fn=self.loss, input_spec=self.shape.spec()
        )
        return tff.learning.models.FunctionalModel(
            initial_weights=model.initial_weights,
            predict_on_batch_fn=model.predict_on_batch,
            loss_fn=model.loss,
            metrics_fns=functional_metrics(self.shape.task),
            input_spec=self.shape.spec(),
        )

    def new_weights(self) -> tff.learning.models.ModelWeights:
        import tensorflow_federated as tff

        return tff.learning.models.ModelWeights.from_model(self.build())

    @cached_property
    def some_weights(self) -> tff.learning.models.ModelWeights:
        import tensorflow_federated as tff

        return tff.learning.models.ModelWeights.from_model(self.model)

    def loaded_weights(self, file: str) -> tff.learning.models.ModelWeights:
        import tensorflow_federated as tff

        model = self.build()
        load_keras(file, model)
        return tff.learning.models.ModelWeights.from_model(model)

    def parameters(self) -> int:
        return sum(int(w.shape.num_elements() or 0) for w in self.model.trainable_weights)

    def summary(self) -> tuple[tuple[str, str, int], ...]:
        # Not the layers' names: Keras counts up in them from model to model.
        return tuple(
            (type(layer).__name__, _output_text(layer), int(layer.count_params()))
            for layer in self.model.layers
            if type(layer).__name__ != "InputLayer"
        )

    def set_weights(self, weights: tff.learning.models.ModelWeights) -> None:
        # Where TFF has built models in graphs, Keras has made all layers' classes those of its
        # version 1, and makes them whole again with the next model that is built outside.
        if any(hasattr(layer, "_assert_built_as_v1") for layer in self._layers):
            with silenced():
                self.build()
        weights.assign_weights_to(self.model)

    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
        given: Any = self.model(x, training=False)
        loss: Any = self.loss(y, given)
        return float(loss), given


def _output_text(layer: Any) -> str:
    """The shape of a layer's output; nothing for one that is used often, or gives many."""
    given: Any = getattr(layer, "output_shape", None)
    is_one = isinstance(given, tuple) and not any(isinstance(n, tuple) for n in given)
    return shape_text(given[1:]) if is_one else ""
