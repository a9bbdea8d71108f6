"""From a model and training settings to a TFF learning process."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.data.federate import FederatedData
from harness.runtime.imports import silenced
from harness.seeds import Stream, generator
from harness.settings import Section
from harness.training import models
from harness.training.algorithms import Parts, algorithms
from harness.training.models.base import outputs
from harness.training.optimizers import optimizers
from harness.training.settings import Training

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_federated as tff

_built: dict[str, Process] = {}


@dataclass(frozen=True)
class Process:
    """A learning process and what is needed to start and to judge it.

    Attributes:
        learning: the TFF process; it has no random state of its own.
        keras_model: a model of the same structure in this process, for initial weights and
            for evaluation.
        loss: mean loss over a batch, of (labels, outputs).

    """

    learning: tff.learning.templates.LearningProcess
    chosen: Section
    shape: models.Shape
    keras_model: tf.keras.Model
    loss: tf.keras.losses.Loss

    def initial_weights(self, seed: int) -> tff.learning.models.ModelWeights:
        """The weights that `seed` gives a new model."""
        import tensorflow as tf
        import tensorflow_federated as tff

        draw = generator(seed, Stream.INITIAL_WEIGHTS).integers(2**31)
        with silenced():  # Keras warns of its own use of the random module
            tf.keras.utils.set_random_seed(int(draw))
            model = models.build(self.chosen, self.shape)
        return tff.learning.models.ModelWeights.from_model(model)


def process_for(chosen: Section, training: Training, data: FederatedData) -> Process:
    """The process for these settings; built once for all seeds and variants that share them.

    Raises:
        ModelError: the model cannot be built or does not fit the data.

    """
    shape = models.Shape(data.train.x.shape[1:], data.num_classes)
    parts = (chosen, training.algorithm, training.client_optimizer, training.server_optimizer)
    key = json.dumps([repr(shape), *(p.model_dump(mode="json") for p in parts)], sort_keys=True)
    if key not in _built:
        with silenced():
            _built[key] = _build(chosen, training, shape, data)
    return _built[key]


def _build(
    chosen: Section, training: Training, shape: models.Shape, data: FederatedData
) -> Process:
    import tensorflow as tf
    import tensorflow_federated as tff

    keras_model = models.build(chosen, shape)  # first here, where an error is the user's to read
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=outputs(chosen) == "logits")
    spec = OrderedDict(
        x=tf.TensorSpec((None, *shape.input_shape), data.train.x.dtype),
        y=tf.TensorSpec((None,), data.train.y.dtype),
    )

    def model_fn() -> Any:
        return tff.learning.models.from_keras_model(
            models.build(chosen, shape),
            loss=loss,
            input_spec=spec,
            metrics=[tf.keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    learning = algorithms.entry(training.algorithm).call(
        training.algorithm,
        Parts(
            model_fn,
            optimizers.entry(training.client_optimizer).call(training.client_optimizer),
            optimizers.entry(training.server_optimizer).call(training.server_optimizer),
        ),
    )
    return Process(learning, chosen, shape, keras_model, loss)
