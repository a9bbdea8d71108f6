"""Stragglers that do only some of their steps."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_federated.clients.stragglers.straggler import stragglers


@stragglers("steps", ignores_data=True)
def steps(
    full: np.ndarray,
    local_epochs: int,
    rng: np.random.Generator,
    *,
    at_least: Annotated[float, Field(ge=0, le=1, description="Smallest share.")] = 0.0,
) -> np.ndarray:
    """A share of the local steps, drawn uniformly from `at_least` to 1 and rounded up.

    So a client may stop in the middle of an epoch; it does at least one step.
    """
    drawn = rng.uniform(at_least, 1.0, len(full))
    return np.clip(np.ceil(drawn * full).astype(np.int64), 1, full)
