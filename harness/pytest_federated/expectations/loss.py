"""Loss on the test set."""

from __future__ import annotations

import math

from pytest_federated.expectations.judging import Positive, expectation
from pytest_federated.training.history import TrainingHistory


@expectation("loss", Positive)
def loss(history: TrainingHistory) -> float:
    """Test loss (cross entropy, nats) after the last round."""
    final = history.evaluated[-1].loss
    return math.nan if final is None else final
