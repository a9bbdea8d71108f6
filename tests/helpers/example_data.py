"""Small data sets and federations, and the algorithms with the keys they need."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, datasets
from pytest_federated.data.federation import FederatedData
from pytest_federated.data.schema import Data
from pytest_federated.training.algorithms.algorithm import algorithms

# Keys without a default, by algorithm.
_REQUIRED_KEYS: dict[str, dict[str, Any]] = {
    "fedprox": {"mu": 0.1},
    "fed_recon": {"split_dataset": False},
    "kmeans": {"clusters": 3},
    "q_fedavg": {"q": 1.0},
    "feddyn": {"alpha": 0.1},
    "ditto": {"penalty": 0.1},
    "per_fedavg": {"alpha": 0.1},
    "afl": {"lambda_rate": 0.1},
    "ifca": {"clusters": 2},
}


NO_CACHE = Cache(Path("no-such-cache"))


def dataset(**chosen: Any) -> Dataset:
    """Returns the data set with these keys, which a scenario has under `data.dataset`."""
    data = Data.model_validate({"dataset": chosen})
    return datasets.entry(data.dataset).call(data.dataset, NO_CACHE)


def save(name: str, **arrays: Any) -> Path:
    """Writes an .npz archive into the current folder."""
    np.savez(name, **arrays)
    return Path(name)


def federation(sizes: list[int], seed: int, shape: tuple[int, ...] = (4, 4, 1)) -> FederatedData:
    """Returns clients of the given sizes, with synthetic data of three labels."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    y = rng.integers(0, 3, n).astype(np.int32)
    x = rng.normal(y.reshape(-1, *[1] * len(shape)), 1.0, (n, *shape)).astype(np.float32)
    parts = np.split(rng.permutation(n), np.cumsum(sizes)[:-1])
    names = tuple(f"client-{i}" for i in range(len(sizes)))
    return FederatedData(Examples(x, y), tuple(parts), names, Examples(x[:5], y[:5]), 3)


def algorithm(name: str) -> dict[str, Any]:
    """Returns an algorithm with values for its required keys."""
    return {"kind": name, **_REQUIRED_KEYS.get(name, {})}


def training_with(name: str) -> dict[str, Any]:
    """Returns the keys of `training` that choose an algorithm, with those that it needs."""
    keys: dict[str, Any] = {"algorithm": algorithm(name)}
    if algorithms[name].spec.server_step:
        keys["server_optimizer"] = {"learning_rate": 1.0}
    return keys


def write_clients(file: Path, splits: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Writes an SQLite file in TFF's format, with TFF: split -> client -> feature -> rows.

    TFF's writer allows a client only one split, so each split is written on its own, and the tables
    are merged.
    """
    import tensorflow as tf
    import tensorflow_federated as tff

    for split, clients in splits.items():
        part = file.with_name(f"{split}.sqlite") if file.exists() else file

        def examples(client: str, clients: Any = clients) -> tf.data.Dataset:
            rows = OrderedDict(sorted(clients[client].items()))
            return tf.data.Dataset.from_tensor_slices(cast("Any", rows))

        tff.simulation.datasets.save_to_sql_client_data(
            list(clients),
            examples,
            str(part),
            split_names_by_client_id=dict.fromkeys(clients, split),
        )
        if part != file:
            with sqlite3.connect(file) as merged:
                merged.execute("ATTACH ? AS part", (str(part),))
                for table in ("examples", "client_metadata"):
                    merged.execute(f"INSERT INTO {table} SELECT * FROM part.{table}")
            part.unlink()
