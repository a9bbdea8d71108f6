"""Final loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from harness.checks.base import at_most as _at_most
from harness.checks.base import checks
from harness.results.record import Verdict
from harness.training.history import TrainingHistory


@checks("loss")
def loss(
    histories: Sequence[TrainingHistory],
    *,
    at_most: Annotated[float, Field(gt=0, allow_inf_nan=False)],
) -> Verdict:
    """Test loss (cross entropy, nats) after the last round, mean over seeds, is at most this."""
    figures = [h.evaluated[-1].loss for h in histories]
    return _at_most("loss", [math.nan if f is None else f for f in figures], at_most)
