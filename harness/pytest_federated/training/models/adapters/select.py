"""The choice of the adapter for a scenario's model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.training.models.adapters.adapter import ModelAdapter
from pytest_federated.training.models.adapters.functional import FunctionalAdapter
from pytest_federated.training.models.adapters.keras import KerasAdapter
from pytest_federated.training.models.adapters.variable import VariableAdapter
from pytest_federated.training.models.keras_checks import check_independent
from pytest_federated.training.models.losses import TASK_LOSS, LossSettings
from pytest_federated.training.models.model import (
    Shape,
    build,
    is_user_model,
    make,
    models,
    named,
    stated_outputs,
)


def adapter_for(settings: Section, shape: Shape, loss: LossSettings = TASK_LOSS) -> ModelAdapter:
    """Returns the adapter of a scenario's model, once it is checked to fit the data.

    Raises:
        ModelError: the model cannot be built, does not fit the data, or cannot be federated.

    """
    import tensorflow as tf
    import tensorflow_federated as tff

    with _errors_naming(settings):
        if shape.inputs and not (is_user_model(settings) or models.entry(settings).code):
            raise ModelError(
                f"{named(settings)} has one input; the data has {', '.join(shape.inputs)}: write a "
                "model with these inputs, and name it by model.keras"
            )
        model: Any = make(settings, shape)
        if isinstance(model, tf.keras.Model):
            stated = stated_outputs(settings)
            adapter = KerasAdapter(lambda: build(settings, shape), shape, stated, loss)
            check_independent(model, adapter.model)
            return adapter
        if shape.inputs:
            raise ModelError(
                f"the data has several inputs ({', '.join(shape.inputs)}), which only Keras models "
                f"take; the model is a {type(model).__name__}"
            )
        if loss:
            raise ModelError(
                f"training.{'loss' if loss.name else 'class_weights'}: the model, a "
                f"{type(model).__name__}, has its own loss; leave it out"
            )
        if isinstance(model, tff.learning.models.FunctionalModel):
            return FunctionalAdapter(lambda: make(settings, shape), shape)
        if callable(model):
            return VariableAdapter(cast("Any", model), shape)
        raise ModelError(
            f"the model function gave {type(model).__name__}, not a tf.keras.Model, a "
            "tff.learning.models.FunctionalModel or a function that makes a "
            "tff.learning.models.VariableModel"
        )


@contextlib.contextmanager
def _errors_naming(settings: Section) -> Iterator[None]:
    """Adds the model's name to errors of the block, if it is a user's model."""
    try:
        yield
    except ModelError as error:
        if str(error).startswith(("model.", "training.")) or not is_user_model(settings):
            raise
        raise ModelError(f"{named(settings)}: {error}") from error
