"""Adafactor."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from pytest_federated.training.optimizers.optimizer import Positive, Rate, optimizers

if TYPE_CHECKING:
    import tensorflow_federated as tff


@optimizers("adafactor")
def adafactor(
    *,
    learning_rate: Rate,
    beta_2_decay: Annotated[float, Field(lt=0, allow_inf_nan=False)] = -0.8,
    # TFF's 1e-30, once for rows and once for columns, multiplies to 0 in float32: weights without
    # gradient would become NaN.
    epsilon_1: Positive = 1e-16,
    epsilon_2: Positive = 1e-3,
    clip_threshold: Positive = 1.0,
    relative_step: Annotated[
        bool, Field(description="The rate falls as one over the root of the step.")
    ] = True,
) -> tff.learning.optimizers.Optimizer:
    """Adafactor (Shazeer and Stern, ICML 2018; `tff.learning.optimizers.build_adafactor`)."""
    import tensorflow as tf
    import tensorflow_federated as tff

    rate = tff.learning.optimizers.LEARNING_RATE_KEY
    fixed = {
        "beta_2_decay": beta_2_decay,
        "epsilon_1": epsilon_1,
        "epsilon_2": epsilon_2,
        "clip_threshold": clip_threshold,
        "relative_step": relative_step,
    }
    inner = tff.learning.optimizers.build_adafactor(learning_rate, **fixed)

    # In TFF's optimizer, a number in the state changes from integer to float with the first step,
    # and a branch depends on a value that no graph has.
    class Adafactor(tff.learning.optimizers.Optimizer):
        def initialize(self, specs: Any) -> Any:
            first = inner.initialize(specs)
            return OrderedDict(
                [(rate, learning_rate), ("steps", tf.constant(0.0)), ("moments", first["moments"])]
            )

        def next(self, state: Any, weights: Any, gradients: Any) -> tuple[Any, Any]:
            hparams = {rate: state[rate], **fixed}
            stepped, weights = inner.next({**state, "hparams": hparams}, weights, gradients)
            return OrderedDict(state, steps=stepped["steps"], moments=stepped["moments"]), weights

    return Adafactor()
