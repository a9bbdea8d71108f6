"""Validation and test examples: shared ones, or of each client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Loaded, datasets
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data


def made(seed: int = 0, split: Any = "iid", count: int = 10, **data: Any) -> FederatedData:
    clients = Clients.model_validate({"count": count, "split": split})
    chosen = Data.model_validate({"dataset": "digits", **data})
    return federate(chosen, clients, seed, Cache(Path("no-such-cache")))


@given(
    seed=st.integers(0, 2**32),
    test=st.floats(0.05, 0.5),
    validation=st.floats(0.01, 0.45),
    count=st.integers(1, 60),
)
def test_the_parts_of_a_client_are_disjoint(
    seed: int, test: float, validation: float, count: int
) -> None:
    settings = {"test_fraction": test, "validation_fraction": validation}
    largest = -(-1797 // count)
    if not round(largest * validation):
        with pytest.raises(DataError, match="gives no validation example"):
            made(seed, count=count, holdout="per_client", **settings)
        return
    data = made(seed, count=count, holdout="per_client", **settings)
    placed = np.concatenate([*data.clients, *data.client_validation, *data.client_test])
    assert np.sort(placed).tolist() == list(range(1797))
    for parts in zip(data.clients, data.client_validation, data.client_test):
        own = sum(map(len, parts))
        assert len(parts[0]) >= 1
        for part, fraction in zip(parts[1:], (validation, test)):
            assert len(part) <= round(own * fraction) and len(part) >= own * fraction - 1.5
            for label in range(10):  # labels keep their proportions, within two examples
                all_ = sum((data.train.y[p] == label).sum() for p in parts)
                assert abs((data.train.y[part] == label).sum() - all_ * len(part) / own) <= 2


def test_the_shared_sets_are_what_the_clients_hold_out() -> None:
    data = made(holdout="per_client", validation_fraction=0.1)
    np.testing.assert_array_equal(data.test.x, data.train.x[np.concatenate(data.client_test)])
    assert data.validation is not None
    positions = np.concatenate(data.client_validation)
    np.testing.assert_array_equal(data.validation.y, data.train.y[positions])
    assert abs(len(data.test) - 0.2 * 1797) <= 5 and abs(len(data.validation) - 180) <= 5
    np.testing.assert_array_equal(data.test_examples(3).y, data.train.y[data.client_test[3]])


def test_a_client_is_tested_on_the_labels_it_has() -> None:
    data = made(split={"kind": "labels_per_client", "labels": 2}, holdout="per_client")
    for client in range(10):
        own = set(data.train.y[data.clients[client]].tolist())
        assert set(data.test_examples(client).y.tolist()) == own
    assert data.validation is None and all(len(v) == 0 for v in data.client_validation)


def test_a_client_with_one_example_trains_on_it() -> None:
    data = made(count=1000, holdout="per_client", test_fraction=0.9)
    assert data.sizes.min() == 1
    assert len(data.test) + data.sizes.sum() == 1797


def test_a_global_validation_set_comes_from_the_training_examples() -> None:
    plain, data = made(), made(validation_fraction=0.25)
    assert data.validation is not None
    assert len(data.validation) == round(0.25 * 1797)
    assert data.sizes.sum() + len(data.validation) + len(data.test) == 1797
    # The test set is the same as without it.
    np.testing.assert_array_equal(plain.test.x, data.test.x)
    rows = [r.tobytes() for e in (data.train, data.validation, data.test) for r in e.x]
    digits = datasets["digits"].function(Cache(Path("x"))).load(None).train
    assert sorted(rows) == sorted(r.tobytes() for r in digits.x)
    counts = np.bincount(data.validation.y)
    assert np.ptp(counts) < 6  # labels keep their proportions: 174 to 183 of each


@pytest.mark.parametrize("way", ["global", "per_client"])
def test_a_validation_set_has_examples(way: str) -> None:
    """Nothing else would tell its accuracy from that of a model that is always wrong."""
    with pytest.raises(DataError) as error:
        made(holdout=way, validation_fraction=1e-4)
    assert str(error.value) == (
        "data.validation_fraction: too small, as digits gives no validation example; raise it, or "
        "leave it out"
    )


@pytest.mark.parametrize("way", ["global", "per_client"])
def test_the_seed_decides_what_is_held_out(way: str) -> None:
    one, two, other = (made(s, holdout=way, validation_fraction=0.1) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.test.x, two.test.x)
    assert one.validation is not None and two.validation is not None
    np.testing.assert_array_equal(one.validation.x, two.validation.x)
    assert other.test.x.tobytes() != one.test.x.tobytes()


@pytest.fixture
def with_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_entries", datasets.entries())

    @datasets("tested", has_test_set=True)
    def tested(cache: Cache) -> Dataset:
        def some(n: int, at: int) -> Examples:
            x = np.arange(at, at + n, dtype=np.float32)[:, None]
            return Examples(x, (np.arange(n) % 2).astype(np.int32))

        return Dataset("tested", 2, (), lambda chosen: Loaded(some(100, 0), None, some(30, 1000)))


def test_a_test_set_of_the_data_stays_the_shared_one(with_test_set: None) -> None:
    data = made(dataset="tested", holdout="per_client", count=4)
    assert len(data.test) == 30 and data.test.x.min() == 1000
    assert [len(t) for t in data.client_test] == [5] * 4
    assert data.sizes.tolist() == [20] * 4
    kept = made(dataset="tested", validation_fraction=0.2, count=4)
    assert len(kept.test) == 30 and kept.sizes.sum() == 80
