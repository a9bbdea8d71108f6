"""TFF's VariableModels, such as those of `tff.simulation.baselines`."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.core.errors import ModelError
from pytest_federated.training.models.adapters.adapter import ModelAdapter
from pytest_federated.training.models.model import Shape
from pytest_federated.training.models.output_kind import gives_logits
from pytest_federated.training.tasks.metrics import counts, share
from pytest_federated.user.functions import blamed

if TYPE_CHECKING:
    import tensorflow_federated as tff


class VariableAdapter(ModelAdapter):
    """A function that makes a `tff.learning.models.VariableModel`, with its own loss.

    Of its metrics only loss and accuracy are taken.
    """

    def __init__(self, make: Callable[[], tff.learning.models.VariableModel], shape: Shape) -> None:
        """`make` makes a new model at each call.

        Raises:
            ModelError: the model cannot be built or does not fit the data.
        """
        import tensorflow as tf
        import tensorflow_federated as tff

        inner = make()
        if not isinstance(inner, tff.learning.models.VariableModel):
            raise ModelError(
                f"the model function gave {type(inner).__name__}, not a "
                "tff.learning.models.VariableModel"
            )
        check_input_spec(inner.input_spec, shape)
        self.shape, self._make = shape, make
        self._model = with_metrics(inner, shape, self.gives_logits)
        spec = shape.spec()
        try:
            probe = OrderedDict((k, tf.zeros((1, *s.shape[1:]), s.dtype)) for k, s in spec.items())
            predictions = self._model.forward_pass(probe, training=False).predictions
        except Exception as error:
            raise ModelError(
                f"the model does not take examples of shape {shape.input_shape}: {blamed(error)}"
            ) from error
        shape.check_outputs((None, *predictions.shape[1:]))
        traced = tf.function(
            lambda: self._model.forward_pass(probe, training=False).predictions
        ).get_concrete_function()
        if not gives_logits(traced.outputs[0]):
            self.gives_logits = False
            self._model = with_metrics(inner, shape, False)

    def obstacle(self) -> Optional[str]:
        return (
            "the model is a tff.learning.models.VariableModel, whose variables cannot be handed "
            "from client to client; a FunctionalModel can be packed"
        )

    def variable(self) -> Callable[[], tff.learning.models.VariableModel]:
        return lambda: with_metrics(self._make(), self.shape, self.gives_logits)

    def functional(self) -> tff.learning.models.FunctionalModel:
        raise NotImplementedError(self.obstacle())

    def new_weights(self) -> tff.learning.models.ModelWeights:
        import tensorflow_federated as tff

        return tff.learning.models.ModelWeights.from_model(self._make())

    def set_weights(self, weights: tff.learning.models.ModelWeights) -> None:
        model = self._model
        for variables, values in (
            (model.trainable_variables, weights.trainable),
            (model.non_trainable_variables, weights.non_trainable),
        ):
            for variable, value in zip(variables, values):
                variable.assign(value)

    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
        output = self._model.forward_pass(OrderedDict(x=x, y=y), training=False)
        return float(output.loss), output.predictions


def check_input_spec(spec: Any, shape: Shape) -> None:
    """Checks that a model's input_spec fits the data; integers may differ in size.

    Raises:
        ModelError: it does not fit.
    """
    for name, ours, theirs in zip("xy", shape.spec().values(), _pair(spec)):
        is_same = theirs.dtype == ours.dtype or (theirs.dtype.is_integer and ours.dtype.is_integer)
        if not is_same or not theirs.shape.is_compatible_with(ours.shape):
            raise ModelError(
                f"the model's input_spec has {name} of {theirs.dtype.name} {theirs.shape}; the "
                f"data has {ours.dtype.name} {ours.shape}"
            )


def _pair(batch: Any) -> tuple[Any, Any]:
    """Returns the input and the labels of a batch, or their types."""
    return (batch["x"], batch["y"]) if isinstance(batch, Mapping) else (batch[0], batch[1])


def with_metrics(inner: Any, shape: Shape, are_logits: bool) -> Any:
    """Returns the VariableModel `inner` with pytest-federated's metrics in place of its own."""
    return _with_metrics_class()(inner, shape, are_logits)


@functools.lru_cache(maxsize=1)
def _with_metrics_class() -> Any:
    """Returns the class `WithMetrics`, defined only when TFF is there to inherit from."""
    import tensorflow as tf
    import tensorflow_federated as tff

    class WithMetrics(tff.learning.models.VariableModel):
        """See `with_metrics`; metrics are loss, accuracy, num_examples and num_batches."""

        def __init__(
            self, inner: tff.learning.models.VariableModel, shape: Shape, are_logits: bool
        ) -> None:
            self._inner, self._shape, self._are_logits = inner, shape, are_logits
            self._has_accuracy = shape.task.hits is not None
            self._sums = OrderedDict(
                (name, [tf.Variable(tf.zeros((), dtype), trainable=False) for dtype in dtypes])
                for name, dtypes in (
                    *([("accuracy", (tf.int64, tf.int64))] if self._has_accuracy else []),
                    ("loss", (tf.float32, tf.float32)),
                    ("num_examples", (tf.int64,)),
                    ("num_batches", (tf.int64,)),
                )
            )

        @property
        def trainable_variables(self) -> Any:
            return self._inner.trainable_variables

        @property
        def non_trainable_variables(self) -> Any:
            return self._inner.non_trainable_variables

        @property
        def local_variables(self) -> Any:
            return [*tf.nest.flatten(self._sums), *self._inner.local_variables]

        @property
        def input_spec(self) -> Any:
            return self._shape.spec()

        @tf.function
        def forward_pass(self, batch_input: Any, training: bool = True) -> Any:
            spec = self._inner.input_spec
            x, y = (tf.cast(value, s.dtype) for value, s in zip(_pair(batch_input), _pair(spec)))
            batch = OrderedDict(x=x, y=y) if isinstance(spec, Mapping) else (x, y)
            output = self._inner.forward_pass(batch, training=training)
            examples = tf.cast(output.num_examples, tf.int64)
            weight = tf.cast(examples, tf.float32)
            counted: list[tuple[str, Any]] = []
            if self._has_accuracy:
                hits = counts(
                    self._shape.task, batch_input["y"], output.predictions, self._are_logits
                )
                counted = [("accuracy", hits)]
            for name, amounts in (
                *counted,
                ("loss", (output.loss * weight, weight)),
                ("num_examples", (examples,)),
                ("num_batches", (tf.constant(1, tf.int64),)),
            ):
                for total, amount in zip(self._sums[name], amounts):
                    total.assign_add(amount)
            return output

        @tf.function
        def predict_on_batch(self, batch_input: Any, training: bool = True) -> Any:
            return self._inner.predict_on_batch(batch_input, training=training)

        @tf.function
        def report_local_unfinalized_metrics(self) -> Any:
            return OrderedDict((k, [v.read_value() for v in s]) for k, s in self._sums.items())

        def metric_finalizers(self) -> Any:
            accuracy = tf.function(lambda sums: share(sums[0], sums[1]))
            return OrderedDict(
                **({"accuracy": accuracy} if self._has_accuracy else {}),
                loss=tf.function(lambda sums: tf.math.divide_no_nan(sums[0], sums[1])),
                num_examples=tf.function(lambda sums: sums[0]),
                num_batches=tf.function(lambda sums: sums[0]),
            )

        @tf.function
        def reset_metrics(self) -> None:
            self._inner.reset_metrics()
            for total in tf.nest.flatten(self._sums):
                total.assign(tf.zeros_like(total))

    return WithMetrics
