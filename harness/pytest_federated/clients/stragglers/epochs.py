"""Stragglers that do only some of their epochs."""

from __future__ import annotations

import numpy as np

from pytest_federated.clients.stragglers.straggler import stragglers


@stragglers("epochs", ignores_data=True, by_epochs=True)
def epochs(full: np.ndarray, local_epochs: int, rng: np.random.Generator) -> np.ndarray:
    """A number of whole epochs, drawn uniformly from 1 to all of them.

    The setting of FedProx: there 0, 50 or 90 % of the devices of a round straggle, and FedAvg
    drops them (`drop: true`).
    """
    return full // local_epochs * rng.integers(1, local_epochs + 1, len(full))
