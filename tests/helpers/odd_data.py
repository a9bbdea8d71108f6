"""Thirty rows of noise in files of every kind that data sets can be read from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest
from example_data import dataset
from pytest_federated.core.errors import DataError
from written_files import write_huggingface, write_keras, write_lists, write_npz

RNG = np.random.default_rng(0)
N = 30
NOISE = RNG.normal(size=(N, 2)).astype(np.float32)
LABELS = np.arange(N) * 2 // N  # sorted, so that a row number gives the label away
ORDER = RNG.permutation(N)


def refusal(function: Callable[[], Any], folder: Optional[Path] = None) -> str:
    with pytest.raises(DataError) as error:
        function()
    message = str(error.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "") if folder else message


def noise(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": NOISE[:, 0], "b": NOISE[:, 1], "y": LABELS, **columns})


def features(**chosen: Any) -> np.ndarray:
    """Returns all training features."""
    return np.asarray(dataset(**chosen).load(None).train.x[:])


def as_csv(frame: pd.DataFrame, name: str = "t", **how: Any) -> dict[str, Any]:
    frame.to_csv(f"{name}.csv", **how)
    return {"csv": f"{name}.csv", "label": "y"}


def as_parquet(frame: pd.DataFrame, name: str = "t", **how: Any) -> dict[str, Any]:
    frame.to_parquet(f"{name}.parquet", **how)
    return {"parquet": f"{name}.parquet", "label": "y"}


def as_npz(x: np.ndarray) -> dict[str, Any]:
    return write_npz(x, LABELS)


def as_keras(x: np.ndarray) -> dict[str, Any]:
    return write_keras(x, LABELS)


def as_huggingface(x: np.ndarray) -> dict[str, Any]:
    return write_huggingface(x, LABELS)


def as_lists(x: np.ndarray) -> dict[str, Any]:
    return write_lists(x, LABELS)


ARRAYS = [as_npz, as_keras, as_huggingface, as_lists]
BYTES = np.array([[0, 10, 128], [200, 254, 255]], np.uint8)


def picture(array: np.ndarray, mode: Optional[str] = None) -> Any:
    from PIL import Image

    image = Image.fromarray(array)
    return image if mode is None else image.convert(mode)


def draw(path: str, image: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        Path(path).write_bytes(image)
    else:
        image.save(path)
