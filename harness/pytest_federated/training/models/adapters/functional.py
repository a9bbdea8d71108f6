"""TFF's functional models: a function of weights and examples, with a loss of its own."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.adapters.adapter import ModelAdapter
from pytest_federated.training.models.adapters.variable import check_input_spec, with_metrics
from pytest_federated.training.models.model import Shape
from pytest_federated.training.models.output_kind import gives_logits
from pytest_federated.training.tasks.metrics import functional_metrics
from pytest_federated.user.functions import blamed

if TYPE_CHECKING:
    import tensorflow_federated as tff


class FunctionalAdapter(ModelAdapter):
    """A `tff.learning.models.FunctionalModel`, with our metrics in place of its own."""

    def __init__(
        self, make: Callable[[], tff.learning.models.FunctionalModel], shape: Shape
    ) -> None:
        """`make` makes a new model at each call.

        Raises:
            ModelError: the model cannot be built or does not fit the data.
        """
        import tensorflow as tf

        self.shape, self._make = shape, make
        model = self._model = make()
        if not all(isinstance(group, (tuple, list)) for group in model.initial_weights):
            raise ModelError(
                "the functional model's initial weights must be two lists of arrays: those that "
                "are trained, and the others"
            )
        check_input_spec(model.input_spec, shape)
        # In a graph: models that TFF converts from Keras run nowhere else.
        self._graph = tf.Graph()
        try:
            with self._graph.as_default():
                self._placeholders = tf.nest.map_structure(
                    lambda w: tf.compat.v1.placeholder(np.asarray(w).dtype, np.shape(w)),
                    _tuples(model.initial_weights),
                )
                spec = shape.spec()
                self._x, self._y = (
                    tf.compat.v1.placeholder(spec[k].dtype, spec[k].shape) for k in ("x", "y")
                )
                self._predictions = model.predict_on_batch(
                    self._placeholders, self._x, training=False
                )
                self._loss = model.loss(output=self._predictions, label=self._y)
        except Exception as error:
            raise ModelError(
                f"the functional model does not take examples of shape {shape.input_shape}: "
                f"{blamed(error)}"
            ) from error
        shape.check_outputs(self._predictions.shape)
        self.gives_logits = gives_logits(self._predictions)
        self._session = tf.compat.v1.Session(graph=self._graph)
        self._weights: Any = ()

    def obstacle(self) -> Optional[str]:
        return None

    def variable(self) -> Callable[[], tff.learning.models.VariableModel]:
        import tensorflow_federated as tff

        def model_fn() -> tff.learning.models.VariableModel:
            return with_metrics(
                tff.learning.models.model_from_functional(self._with_metrics),
                self.shape,
                self.gives_logits,
            )

        return model_fn

    def functional(self) -> tff.learning.models.FunctionalModel:
        return self._with_metrics

    def new_weights(self) -> tff.learning.models.ModelWeights:
        import tensorflow as tf
        import tensorflow_federated as tff

        return tff.learning.models.ModelWeights(
            *(tuple(tf.constant(w) for w in group) for group in self._make().initial_weights)
        )

    def set_weights(self, weights: tff.learning.models.ModelWeights) -> None:
        import tensorflow as tf

        self._weights = tf.nest.map_structure(
            np.asarray, _tuples((weights.trainable, weights.non_trainable))
        )

    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
        import tensorflow as tf

        feeds = zip(tf.nest.flatten(self._placeholders), tf.nest.flatten(self._weights))
        loss, predictions = self._session.run(
            (self._loss, self._predictions), {**dict(feeds), self._x: x, self._y: y}
        )
        return float(loss), tf.constant(predictions)

    @cached_property
    def _with_metrics(self) -> tff.learning.models.FunctionalModel:
        import tensorflow_federated as tff

        return tff.learning.models.FunctionalModel(
            initial_weights=_tuples(self._model.initial_weights),
            predict_on_batch_fn=self._model.predict_on_batch,
            loss_fn=self._model.loss,
            metrics_fns=functional_metrics(self.shape.task, self.gives_logits),
            input_spec=self.shape.spec(),
        )


def _tuples(weights: Any) -> Any:
    return tuple(tuple(group) for group in weights)
