"""Keras models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional, cast

import numpy as np

from pytest_federated.tff.imports import silenced
from pytest_federated.training.models.adapters.adapter import CannotPack, ModelAdapter, shape_text
from pytest_federated.training.models.initial_weights import load_keras
from pytest_federated.training.models.keras_checks import check_fit
from pytest_federated.training.models.model import Outputs, Shape
from pytest_federated.training.models.output_kind import outputs_of
from pytest_federated.training.tasks.metrics import functional_metrics, keras_accuracy, keras_loss

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff


_REGULARIZED = "the model has regularization losses, which TFF's functional models leave out"


class KerasAdapter(ModelAdapter):
    """A Keras model, with the loss of the task.

    Attributes:
        model: one of its structure in this process, for evaluation.
        loss: mean loss over a batch, of (labels, outputs).
        build: makes a new model at each call.

    """

    def __init__(
        self, build: Callable[[], tf.keras.Model], shape: Shape, stated: Optional[Outputs] = None
    ) -> None:
        """`build` makes a new model at each call; `stated` is what the scenario says it gives.

        Raises:
            ModelError: the model cannot be built, does not fit the data, or gives something else.
        """
        self.model = build()
        check_fit(self.model, shape)
        outputs = outputs_of(self.model, shape, stated)
        self.finds_probabilities = stated is None and outputs == "probabilities"
        self._layers = [m for m in (self.model, *self.model.submodules) if hasattr(m, "call")]
        self.loss = keras_loss(shape.task, outputs == "logits")
        self.shape, self.build = shape, build
        self.by_positions = shape.kind == "tokens"

    def obstacle(self) -> Optional[str]:
        return self._recorded[0]

    @cached_property
    def _recorded(self) -> tuple[Optional[str], list[bool]]:
        """The obstacle, and of each variable, in the order of making, whether it is trained."""
        import tensorflow as tf

        made: list[tf.Variable] = []

        def record(make: Callable[..., tf.Variable], **settings: object) -> tf.Variable:
            made.append(make(**settings))
            return made[-1]

        # In a graph: where Keras runs eagerly it makes variables of its own.
        with tf.Graph().as_default(), tf.variable_creator_scope(record):
            model = self.build()
            is_regularized = bool(model.losses)
        trained = {v.ref() for v in model.trainable_variables}
        return _obstacle(model, made, is_regularized), [v.ref() in trained for v in made]

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

        model: Any = tff.learning.models.functional_model_from_keras(
            cast("Any", self._packable), loss_fn=self.loss, input_spec=self.shape.spec()
        )
        return tff.learning.models.FunctionalModel(
            initial_weights=model.initial_weights,
            predict_on_batch_fn=model.predict_on_batch,
            loss_fn=model.loss,
            metrics_fns=functional_metrics(self.shape.task),
            input_spec=self.shape.spec(),
        )

    def _packable(self) -> _Packable:
        """A new model whose weights are made as trained or not, as the model keeps them.

        TFF goes by how they are made, and those of a frozen layer are made as trained ones.
        """
        import tensorflow as tf

        if tf.executing_eagerly():  # only for the weights, and Keras makes more variables there
            return _Packable(self.build())
        are_trained = iter(self._recorded[1])

        def as_kept(make: Callable[..., tf.Variable], **settings: Any) -> tf.Variable:
            return make(**{**settings, "trainable": next(are_trained)})

        with tf.variable_creator_scope(as_kept):
            return _Packable(self.build())

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
        return _size(self.model.trainable_weights)

    def summary(self) -> tuple[tuple[str, str, int], ...]:
        # Not the layers' names: Keras counts up in them from model to model.
        return tuple(
            (type(layer).__name__, _output_text(layer), _size(layer.weights))
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
        predictions: Any = self.model(x, training=False)
        loss: Any = self.loss(y, predictions)
        return float(loss), predictions


class _Packable:
    """What TFF's functional models need of a Keras model, which must add no losses of its own."""

    def __init__(self, model: tf.keras.Model) -> None:
        self._model = model
        self.variables = model.variables
        self.trainable_variables = model.trainable_variables
        self.non_trainable_variables = model.non_trainable_variables

    def __call__(self, x: Any, training: bool) -> Any:
        predictions = self._model(x, training=training)
        if self._model.losses:
            raise CannotPack(_REGULARIZED)
        return predictions


def _obstacle(model: Any, made: Sequence[Any], is_regularized: bool) -> Optional[str]:
    """Why a model that made these variables cannot be packed, as far as they tell."""
    if is_regularized:
        return _REGULARIZED
    if any(hasattr(v, "_should_cast") for v in model.variables):
        return "the model has mixed precision, for which Keras needs variables"
    # TFF's functional models take weights in the order in which the model makes its variables.
    for kept in (model.trainable_variables, model.non_trainable_variables):
        order = [v.ref() for v in kept]
        if [v.ref() for v in made if v.ref() in order] != order:
            return "the model does not make its variables in the order of its layers"
    if len(made) != len(model.variables):
        return "the model makes variables that are not its weights"
    return None


def _size(weights: Sequence[Any]) -> int:
    return sum(int(w.shape.num_elements() or 0) for w in weights)


def _output_text(layer: Any) -> str:
    """The shape of a layer's output; nothing for one that is used often, or gives many."""
    predictions: Any = getattr(layer, "output_shape", None)
    is_one = isinstance(predictions, tuple) and not any(isinstance(n, tuple) for n in predictions)
    return shape_text(predictions[1:]) if is_one else ""
