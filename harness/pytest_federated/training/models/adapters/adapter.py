"""The interface of all model adapters."""

from __future__ import annotations

import abc
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.training.final_model import FinalModel
from pytest_federated.training.models.initial_weights import load_arrays
from pytest_federated.training.models.model import Shape

if TYPE_CHECKING:
    import tensorflow_federated as tff


class CannotPack(Exception):
    """Says why a model cannot be packed, when that only shows while TensorFlow traces it."""


class ModelAdapter(abc.ABC):
    """A scenario's model, which fits the data.

    Attributes:
        shape: the shapes and types of the data.
        gives_logits: whether its outputs are logits, not probabilities.
        by_positions: whether the mean loss of a batch is over counted positions, not examples.
        infers_probabilities: whether its outputs were inferred, not stated, to be probabilities.
        draws: whether its layers draw random numbers in training, and so need keys.

    """

    shape: Shape
    gives_logits: bool = True
    by_positions: bool = False
    infers_probabilities: bool = False
    draws: bool = False

    @abc.abstractmethod
    def obstacle(self) -> Optional[str]:
        """Returns why clients that train it cannot be packed; None if only trying can tell."""

    @abc.abstractmethod
    def variable(self) -> Callable[[], tff.learning.models.VariableModel]:
        """Returns a function that makes the model of standard execution.

        Its metrics are loss, accuracy, num_examples and num_batches.
        """

    @abc.abstractmethod
    def functional(self) -> tff.learning.models.FunctionalModel:
        """Returns the model of packed execution; only called where there is no obstacle."""

    @abc.abstractmethod
    def new_weights(self) -> tff.learning.models.ModelWeights:
        """Returns the weights of a new model, drawn with TensorFlow's and Keras' global seeds."""

    @cached_property
    def model_fn(self) -> Callable[[], tff.learning.models.VariableModel]:
        """`variable()`, always the same function, so that what is traced with it can be shared."""
        return self.variable()

    @cached_property
    def template_weights(self) -> tff.learning.models.ModelWeights:
        """Weights of the model, to take shapes from."""
        return self.new_weights()

    def parameters(self) -> int:
        """Returns the number of trainable parameters."""
        return sum(math.prod(w.shape) for w in self.template_weights.trainable)

    def summary(self) -> tuple[tuple[str, str, int], ...]:
        """Returns each layer's kind, output shape and number of parameters, in order."""
        return tuple(
            (f"weight {n}", shape_text(w.shape), math.prod(w.shape))
            for n, w in enumerate(self.template_weights.trainable, start=1)
        )

    def loaded_weights(self, file: str) -> tff.learning.models.ModelWeights:
        """Returns a new model's weights with those of a file; here an .npz of the trainable ones.

        Raises:
            DataError: there is no such file.
            ModelError: it cannot be read, or holds weights of other shapes.
        """
        import tensorflow as tf
        import tensorflow_federated as tff

        new = self.new_weights()
        needed = [(f"weight {n}", tuple(w.shape)) for n, w in enumerate(new.trainable, start=1)]
        arrays = load_arrays(file, needed)
        trainable = tuple(tf.constant(a, w.dtype) for a, w in zip(arrays, new.trainable))
        return tff.learning.models.ModelWeights(trainable, new.non_trainable)

    def final_model(self, weights: tff.learning.models.ModelWeights) -> FinalModel:
        """Returns the model with these weights as it can be saved, for `loaded_weights`."""
        return FinalModel(tuple(np.asarray(w) for w in weights.trainable))

    @abc.abstractmethod
    def set_weights(self, weights: tff.learning.models.ModelWeights) -> None:
        """Sets the weights that `forward` uses."""

    @abc.abstractmethod
    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
        """Returns a batch's mean loss and the model's outputs for it, outside of training."""

    def measure(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any, Any]:
        """Returns what `forward` does, and which positions of a batch are right and count.

        These are two bool tensors of the shape of `y`; None where nothing is right or wrong.
        """
        import tensorflow as tf

        loss, outputs = self.forward(x, y)
        hits = self.shape.task.hits
        return loss, outputs, hits and hits(tf.constant(y), outputs, self.gives_logits)

    def predictions(self, outputs: Any) -> np.ndarray:
        """Returns outputs of `forward` as probabilities, float32 of their shape, or as numbers.

        Of a task with one output for an example, (n,).
        """
        from scipy.special import expit, softmax  # pyright: ignore[reportMissingTypeStubs]

        values = np.asarray(outputs, np.float32)
        activation = self.shape.task.activation if self.gives_logits else None
        if activation is not None:
            values = expit(values) if activation == "sigmoid" else softmax(values, axis=-1)
        return values[:, 0] if self.shape.kind in ("binary", "regression") else values


def shape_text(shape: Any) -> str:
    """Returns a shape without its batch dimension as text: ``28 x 28 x 1``."""
    return " x ".join(str(n) for n in shape) or "1"
