"""Data sets in files that tests write into the current folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from example_data import NO_CACHE
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data

RNG = np.random.default_rng(0)


def made(
    chosen: dict[str, Any],
    of_data: Optional[dict[str, Any]] = None,
    *,
    seed: int = 0,
    **clients: Any,
) -> FederatedData:
    data = Data.model_validate({"dataset": chosen, **(of_data or {})})
    return federate(data, Clients.model_validate(clients), seed, NO_CACHE)


def refusal(function: Callable[..., Any], *args: Any, **chosen: Any) -> str:
    with pytest.raises(DataError) as error:
        function(*args, **chosen)
    assert "\n" not in str(error.value)
    return str(error.value)


IMAGES = RNG.integers(256, size=(12, 5, 4), dtype=np.uint8)
DIGITS = np.arange(12) % 3


def draw(path: str, pixels: np.ndarray) -> None:
    from PIL import Image

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


COLORED = RNG.integers(256, size=(6, 4, 5, 3), dtype=np.uint8)
