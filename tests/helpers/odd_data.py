"""Thirty rows of noise in files of every kind that data sets can be read from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest
from example_data import dataset, save
from pytest_federated.core.errors import DataError

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
    save("t.npz", x=x, y=LABELS)
    return {"npz": "t.npz"}


def as_keras(x: np.ndarray) -> dict[str, Any]:
    save("t.npz", x_train=x, y_train=LABELS, x_test=x[:5], y_test=LABELS[:5])
    return {"keras": "t.npz"}


def as_huggingface(x: np.ndarray) -> dict[str, Any]:
    import datasets as hf

    of = hf.Value(str(x.dtype))
    if x.ndim == 2:
        of = hf.Sequence(of, x.shape[1])
    elif x.ndim == 3:
        of = hf.Array2D(x.shape[1:], str(x.dtype))
    types = hf.Features(x=of, label=hf.Value("int64"))
    hf.Dataset.from_dict({"x": list(x), "label": LABELS}, features=types).save_to_disk("t")
    return {"huggingface": "t", "features": "x"}


def as_lists(x: np.ndarray) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import parquet

    kind: Any = pa.from_numpy_dtype(x.dtype)
    for _ in x.shape[1:]:
        kind = pa.list_(kind)
    parquet.write_table(pa.table({"x": pa.array(x.tolist(), kind), "y": LABELS}), "t.parquet")
    return {"parquet": "t.parquet", "label": "y", "shape": [*x.shape[1:]]}


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
