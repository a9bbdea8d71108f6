"""TFF's data sets, and the modules of TFF they are compared with."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from pytest_federated.clients.schema import Clients
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data

RNG = np.random.default_rng(0)
INSIDE = "tensorflow_federated.python.simulation"


def made(cache: Path, name: str, count: Any = None, **keys: Any) -> FederatedData:
    data = Data.model_validate({"dataset": {"kind": name, **keys}})
    clients = Clients.model_validate({"split": "natural", "count": count})
    return federate(data, clients, 0, Cache(cache))


def inside(module: str) -> Any:
    """Returns a module of TFF that is not in its public API."""
    return importlib.import_module(f"{INSIDE}.{module}")


def as_they_stand(tff: Any) -> Any:
    """Returns TFF's preprocessing that keeps a client's order, in a single batch."""
    return tff.simulation.baselines.ClientSpec(1, 1000, shuffle_buffer_size=1)
