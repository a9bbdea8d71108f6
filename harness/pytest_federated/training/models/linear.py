"""The linear model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_federated.training.models.mlp import mlp
from pytest_federated.training.models.model import Outputs, Shape, models

if TYPE_CHECKING:
    import tensorflow as tf


@models("linear")
def linear(shape: Shape, *, outputs: Outputs = "logits") -> tf.keras.Model:
    """One layer from the features to the labels: multinomial logistic regression.

    Li et al., MLSys 2020, section 5, compare FedAvg and FedProx on this convex problem.
    """
    return mlp(shape, hidden=[], outputs=outputs)
