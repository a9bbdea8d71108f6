"""The same examples in a file for each reader, written into the current folder.

Each function takes features (n, columns) or images (n, height, width), labels and, if they are
natural, the client of each row; it returns the keys of the data set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
from example_data import save
from own_files import draw

Settings = dict[str, Any]


def write_csv(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    _frame(x, y, clients).to_csv("t.csv", index=False)
    return {"csv": "t.csv", "label": "y", **_client(clients)}


def write_parquet(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    """Writes a column for each feature, or one of lists for images."""
    if x.ndim > 2:
        return write_lists(x, y, clients)
    _frame(x, y, clients).to_parquet("t.parquet", index=False)
    return {"parquet": "t.parquet", "label": "y", **_client(clients)}


def write_lists(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    """Writes a Parquet file with all features in one column."""
    import pyarrow as pa
    from pyarrow import parquet

    kind: Any = pa.from_numpy_dtype(x.dtype)
    for _ in x.shape[1:]:
        kind = pa.list_(kind)
    columns = {"x": pa.array(x.tolist(), kind), "y": y, **_ward(clients)}
    parquet.write_table(pa.table(columns), "t.parquet")
    chosen = {"parquet": "t.parquet", "label": "y", "shape": [*x.shape[1:]]}
    return {**chosen, **_client(clients)}


def write_npz(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    save("t.npz", x=x, y=np.array(y), **_ward(clients))
    return {"npz": "t.npz", **_client(clients)}


def write_keras(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    save("t.npz", x_train=x, y_train=y, x_test=x[::7], y_test=y[::7])
    return {"keras": "t.npz"}


def write_huggingface(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    import datasets as hf

    hf.disable_progress_bars()
    of: Any = hf.Value(str(x.dtype))
    if x.ndim == 2:
        of = hf.Sequence(of, x.shape[1])
    elif x.ndim == 3:
        of = hf.Array2D(x.shape[1:], str(x.dtype))
    are_words = any(isinstance(label, str) for label in y)
    kinds: dict[str, Any] = {"x": of, "label": hf.Value("string" if are_words else "int64")}
    kinds.update({name: hf.Value("string") for name in _ward(clients)})
    columns = {"x": list(x), "label": list(y), **_ward(clients)}
    hf.Dataset.from_dict(columns, features=hf.Features(kinds)).save_to_disk("t")
    return {"huggingface": "t", "features": "x", **_client(clients)}


def write_leaf(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    """Writes every seventh example into test/, too."""
    wards = np.array(["b", "a", "c"])[np.arange(len(x)) % 3] if clients is None else clients
    for part, step in (("train", 1), ("test", 7)):
        users: dict[str, dict[str, list[Any]]] = {}
        for row, label, ward in zip(x[::step], y[::step], wards[::step]):
            own = users.setdefault(str(ward), {"x": [], "y": []})
            own["x"].append(row.ravel().tolist())
            own["y"].append(label.item() if isinstance(label, np.generic) else label)
        write_users(f"t/{part}", users)
    return {"leaf": "t"}


def write_users(folder: str, users: Mapping[str, Any], name: str = "a.json") -> None:
    """Writes a file as LEAF does, of users with their ``x`` and ``y``."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    sizes = [len(own.get("y", [])) if isinstance(own, dict) else 0 for own in users.values()]
    content = {"users": list(users), "num_samples": sizes, "user_data": users}
    Path(folder, name).write_text(json.dumps(content))


def write_image_folder(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    for row, (pixels, label) in enumerate(zip(x, y)):
        draw(f"t/{label}/{row:02}.png", pixels)
    return {"image_folder": "t", "channels": 1}


def write_image_manifest(x: np.ndarray, y: Any, clients: Optional[np.ndarray] = None) -> Settings:
    paths = [f"t/{row:02}.png" for row in range(len(x))]
    for path, pixels in zip(paths, x):
        draw(path, pixels)
    columns = {"path": paths, "label": y, **_ward(clients)}
    pd.DataFrame(columns).to_csv("t.csv", index=False)
    return {"image_manifest": "t.csv", "channels": 1, **_client(clients)}


WRITERS: dict[str, Callable[..., Settings]] = {
    "csv": write_csv,
    "parquet": write_parquet,
    "npz": write_npz,
    "keras": write_keras,
    "huggingface": write_huggingface,
    "leaf": write_leaf,
    "image_folder": write_image_folder,
    "image_manifest": write_image_manifest,
}


def _frame(x: np.ndarray, y: Any, clients: Optional[np.ndarray]) -> pd.DataFrame:
    columns = {f"x{place}": column for place, column in enumerate(x.T)}
    return pd.DataFrame({**columns, "y": y, **_ward(clients)})


def _ward(clients: Optional[np.ndarray]) -> dict[str, np.ndarray]:
    return {} if clients is None else {"ward": clients}


def _client(clients: Optional[np.ndarray]) -> Settings:
    return {} if clients is None else {"client": "ward"}
