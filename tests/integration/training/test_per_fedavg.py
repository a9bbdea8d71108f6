"""Per-FedAvg follows Fallah et al., algorithm 1 with the first-order approximation."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import pytest
from numpy_reference import (
    BASE,
    COHORT,
    MODEL,
    MOMENTUM,
    RATE,
    SEED,
    Client,
    Weights,
    assert_close,
    assert_far,
    batches,
    gradient,
    measure,
    reference,
)
from pytest_federated.core.errors import DataError
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.loop import steps
from pytest_federated.training.schema import Training

pytestmark = pytest.mark.usefixtures("running")

ALPHA = 0.5
ALGORITHM = {"kind": "per_fedavg", "alpha": ALPHA}


@pytest.mark.parametrize("execution", ["standard", "packed"])
@pytest.mark.parametrize(
    ("weighting", "momentum"),
    [("uniform", None), ("examples", MOMENTUM)],
    ids=["uniform", "examples-momentum"],
)
def test_a_step_is_along_the_gradient_of_the_adapted_model(
    data: FederatedData, weighting: str, momentum: Optional[float], execution: str
) -> None:
    """Of an odd number of batches, as 3 and 9 here, the last changes nothing."""
    counts = set()

    def client(weights: Weights, one: int, number: int) -> Client:
        own = batches(data, one, number, epochs=3)
        counts.add(len(own))
        velocity = [np.zeros_like(w) for w in weights]
        for (x, y), (next_x, next_y) in zip(own[::2], own[1::2]):
            adapted = [w - ALPHA * g for w, g in zip(weights, gradient(weights, x, y))]
            down = gradient(adapted, next_x, next_y)
            velocity = [(momentum or 0) * v + g for v, g in zip(velocity, down)]
            weights = [w - RATE * v for w, v in zip(weights, velocity)]
        return weights, 1.0 if weighting == "uniform" else len(data.clients[one])

    chosen = {**ALGORITHM, "weighting": weighting}
    optimizer = {"kind": "sgd", "learning_rate": RATE, "momentum": momentum}
    settings: dict[str, Any] = {
        "local_epochs": 3,
        "client_optimizer": optimizer,
        "execution": execution,
    }
    ours = measure(data, algorithm=chosen, **settings)
    assert_close(ours, reference(data, client))
    assert {count % 2 for count in counts} == {0, 1}
    assert_far(
        ours, measure(data, algorithm={"kind": "fedavg", "weighting": weighting}, **settings)
    )


def test_a_round_in_which_no_client_has_two_batches_is_refused(data: FederatedData) -> None:
    settings = Training.model_validate(
        {**BASE, "algorithm": ALGORITHM, "local_epochs": 1, "batch_size": 100}
    )
    with pytest.raises(DataError, match=r"second batch.* smaller training.batch_size \(100\)"):
        list(steps(data, MODEL, settings, COHORT, SEED))
