"""The interface of all adapters of models to TFF."""

from __future__ import annotations

import abc
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from pytest_federated.training.models.initial_weights import load_arrays
from pytest_federated.training.models.model import Shape

if TYPE_CHECKING:
    import tensorflow_federated as tff


class CannotPack(Exception):
    """Why a model cannot be packed, where that shows when TensorFlow traces it."""


class ModelAdapter(abc.ABC):
    """A scenario's model that fits the data.

    Attributes:
        shape: of the data.
        by_positions: whether its mean loss of a batch is one over the counted positions, rather
            than over examples.
        finds_probabilities: whether it gives probabilities, and the scenario does not say so.

    """

    shape: Shape
    by_positions: bool = False
    finds_probabilities: bool = False

    @abc.abstractmethod
    def obstacle(self) -> Optional[str]:
        """Why clients that train it cannot be packed, or None where only trying it shows."""

    @abc.abstractmethod
    def variable(self) -> Callable[[], tff.learning.models.VariableModel]:
        """What standard execution trains; metrics: loss, accuracy, num_examples, num_batches."""

    @abc.abstractmethod
    def functional(self) -> tff.learning.models.FunctionalModel:
        """What packed execution trains; only asked where there is no obstacle."""

    @abc.abstractmethod
    def new_weights(self) -> tff.learning.models.ModelWeights:
        """The weights of a new model, from TensorFlow's and Keras' global seeds."""

    @cached_property
    def model_fn(self) -> Callable[[], tff.learning.models.VariableModel]:
        """`variable`, the same function whenever asked: what is traced with it can be shared."""
        return self.variable()

    @cached_property
    def some_weights(self) -> tff.learning.models.ModelWeights:
        """Some weights of the model, for their shapes."""
        return self.new_weights()

    def parameters(self) -> int:
        """The number of trainable numbers."""
        return sum(math.prod(w.shape) for w in self.some_weights.trainable)

    def summary(self) -> tuple[tuple[str, str, int], ...]:
        """Layers in order: what each is, the shape of its output, and its parameters."""
        return tuple(
            (f"weight {n}", shape_text(w.shape), math.prod(w.shape))
            for n, w in enumerate(self.some_weights.trainable, start=1)
        )

    def loaded_weights(self, file: str) -> tff.learning.models.ModelWeights:
        """The weights of a new model, with those in a file; here an .npz of the trainable ones.

        Raises:
            DataError: there is no such file.
            ModelError: it has others.
        """
        import tensorflow as tf
        import tensorflow_federated as tff

        new = self.new_weights()
        needed = [(f"weight {n}", tuple(w.shape)) for n, w in enumerate(new.trainable, start=1)]
        arrays = load_arrays(file, needed)
        trainable = tuple(tf.constant(a, w.dtype) for a, w in zip(arrays, new.trainable))
        return tff.learning.models.ModelWeights(trainable, new.non_trainable)

    @abc.abstractmethod
    def set_weights(self, weights: tff.learning.models.ModelWeights) -> None:
        """Takes the weights that `forward` is to use."""

    @abc.abstractmethod
    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
        """Mean loss of a batch, and the model's outputs for it, not in training."""


def shape_text(shape: Any) -> str:
    """A shape without the batch, as ``28 x 28 x 1``."""
    return " x ".join(str(n) for n in shape) or "1"
