"""From a scenario's model to its form."""

from __future__ import annotations

from typing import Any, cast

from harness.errors import ModelError
from harness.settings import Section
from harness.training.forms.base import Form
from harness.training.forms.functional import FunctionalForm
from harness.training.forms.keras import KerasForm
from harness.training.forms.variable import VariableForm
from harness.training.models import Shape, build, models
from harness.training.models.base import outputs


def form_of(chosen: Section, shape: Shape) -> Form:
    """The form of the chosen model, which fits the data.

    Raises:
        ModelError: the model cannot be built, does not fit the data, or cannot be federated.

    """
    import tensorflow as tf
    import tensorflow_federated as tff

    def make() -> Any:
        return models.entry(chosen).call(chosen, shape)

    made: Any = make()
    if isinstance(made, tf.keras.Model):
        return KerasForm(lambda: build(chosen, shape), shape, outputs(chosen) == "logits")
    if isinstance(made, tff.learning.models.FunctionalModel):
        return FunctionalForm(make, shape)
    if callable(made):
        return VariableForm(cast("Any", made), shape)
    raise ModelError(
        f"the model function gave {type(made).__name__}, not a tf.keras.Model, a "
        "tff.learning.models.FunctionalModel or a function that makes a "
        "tff.learning.models.VariableModel"
    )
