"""Data that is not in memory: only the requested rows are ever read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.clients.sampling.sampler import draw, samplers
from pytest_federated.clients.schema import Clients
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, datasets, in_memory
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data

EXAMPLES, CLIENTS = 300_000, 3_000


class Counted:
    """An array whose row i is filled with i; it counts the rows it makes."""

    shape = (EXAMPLES, 28, 28, 1)
    dtype = np.dtype(np.float32)

    def __init__(self) -> None:
        self.made = 0

    def __getitem__(self, index: Any) -> np.ndarray:
        positions = np.arange(EXAMPLES, dtype=np.float32)[index]
        self.made += len(positions)
        return np.broadcast_to(positions[:, None, None, None], (len(positions), 28, 28, 1))


@pytest.fixture
def rows() -> Iterator[Counted]:
    known, rows = datasets.entries(), Counted()

    @datasets("counted")
    def counted(cache: Cache) -> Dataset:
        labels = (np.arange(EXAMPLES) % 10).astype(np.int32)
        natural = np.char.add("w", (np.arange(EXAMPLES) % CLIENTS).astype(str))
        return in_memory("counted", Examples(rows, labels), 10, natural)

    yield rows
    datasets._entries.clear()
    datasets._entries.update(known)


def made(**split: Any) -> FederatedData:
    return federate(
        Data.model_validate({"dataset": "counted"}),
        Clients.model_validate({"count": CLIENTS, "split": split}),
        0,
        Cache(Path("unused")),
    )


@pytest.mark.parametrize("split", [pytest.param("iid", marks=pytest.mark.slow), "natural"])
def test_many_examples_are_described_without_reading_one(rows: Counted, split: str) -> None:
    data = made(kind=split)
    assert rows.made == 0
    assert len(data.clients) == CLIENTS
    assert data.sizes.sum() + len(data.test) == EXAMPLES

    cohort = draw(samplers.parse("uniform"), data.population, 50, 0, 1)
    held = [shuffled_examples(data, client, 0, 1) for client in cohort]
    assert rows.made == sum(len(h) for h in held) == data.sizes[cohort].sum()
    for client, examples in zip(cohort, held):
        ids = examples.x[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(examples.y, ids % 10)  # rows and labels stay together
        if split == "natural":
            assert set(ids % CLIENTS) == {int(data.names[client][1:])}


def test_rows_on_disk_are_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(20, dtype=np.float32)[:, None])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    some = Examples(mapped, np.arange(20)).select(np.arange(0, 20, 2)).select(np.array([3, 1]))
    assert np.shares_memory(some.x._rows, mapped)
    assert some.x.shape == (2, 1)
    assert np.asarray(some.x)[:, 0].tolist() == some.take(slice(None)).x[:, 0].tolist() == [6, 2]
    assert some.y.tolist() == [6, 2]
    assert type(some.take(np.array([0])).x) is np.ndarray
