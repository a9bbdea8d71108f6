"""The tables of scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.dataset import Cache, Dataset, datasets
from pytest_federated.data.datasets.kept import forget


def dataset(name: str) -> Dataset:
    return datasets[name].function(Cache(Path("no-such-cache")))


@pytest.mark.parametrize(
    ("name", "features", "each"),
    [("breast_cancer", 30, [212, 357]), ("wine", 13, [59, 71, 48])],
)
def test_packaged_tables_are_standardized(name: str, features: int, each: list[int]) -> None:
    found = dataset(name)
    loaded = found.load(None)
    assert loaded.test is None and loaded.natural is None and list(found.natural) == []
    assert loaded.train.x.shape == (sum(each), features)
    assert (loaded.train.x.dtype, loaded.train.y.dtype) == (np.float32, np.int32)
    assert np.bincount(loaded.train.y).tolist() == each
    assert found.num_classes == len(each)
    np.testing.assert_allclose(loaded.train.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(loaded.train.x.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_standardizing_keeps_the_published_figures_apart(name: str) -> None:
    """Each column is a linear function of the published one, with a positive slope."""
    import sklearn.datasets

    raw: Any = getattr(sklearn.datasets, f"load_{name}")()
    x = dataset(name).load(None).train.x
    for column in range(x.shape[1]):
        assert np.corrcoef(raw.data[:, column], x[:, column])[0, 1] == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(dataset(name).load(None).train.y, raw.target)


def test_malignant_tumors_are_larger() -> None:
    """Label 0 is malignant, and the first column the mean radius."""
    train = dataset("breast_cancer").load(None).train
    assert train.x[train.y == 0, 0].mean() > train.x[train.y == 1, 0].mean() + 1


# covtype, in the files that scikit-learn writes


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def rows(home: Path) -> tuple[np.ndarray, np.ndarray]:
    """A small table in the format of the real one, written as `fetch_covtype` does."""
    rng = np.random.default_rng(0)
    measures = rng.normal(1000, 300, (40, 10)).round()
    area, soil = np.eye(4)[np.arange(40) * 3 % 4], np.eye(40)[rng.integers(40, size=40)]
    x, y = np.concatenate([measures, area, soil], axis=1), np.arange(40, dtype=np.int32) % 7 + 1
    write(home, x, y)
    return x, y


def write(home: Path, x: np.ndarray, y: np.ndarray) -> None:
    (home / "covertype").mkdir(parents=True, exist_ok=True)
    # scikit-learn's own helper adds the version of Python to the name.
    from sklearn.datasets._base import _pkl_filepath

    joblib.dump(x, _pkl_filepath(str(home / "covertype"), "samples"), compress=9)
    joblib.dump(y, _pkl_filepath(str(home / "covertype"), "targets"), compress=9)


def test_covtype_is_read_from_the_cache(rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows
    found = dataset("covtype")
    loaded = found.load(None)
    assert found.num_classes == 7
    assert (loaded.train.x.shape, loaded.train.x.dtype) == ((40, 54), np.float32)
    np.testing.assert_array_equal(loaded.train.y, y - 1)
    assert loaded.train.y.dtype == np.int32
    np.testing.assert_array_equal(loaded.train.x[:, 10:], x[:, 10:])
    expected = (x[:, :10] - x[:, :10].mean(axis=0)) / x[:, :10].std(axis=0)
    np.testing.assert_allclose(loaded.train.x[:, :10], expected, rtol=1e-6, atol=1e-6)


def test_the_clients_of_covtype_are_its_areas(rows: tuple[np.ndarray, np.ndarray]) -> None:
    found = dataset("covtype")
    assert set(found.natural) == {"rawah", "neota", "comanche-peak", "cache-la-poudre"}
    for column, name in enumerate(["rawah", "neota", "comanche-peak", "cache-la-poudre"]):
        loaded = found.load([name])
        assert len(loaded.train) == 10
        assert (loaded.train.x[:, 10 + column] == 1).all()


def test_covtype_that_was_not_fetched_says_what_to_do(home: Path) -> None:
    expected = (
        f"covtype is not in scikit-learn's cache ({home}); fetch it once while online: "
        'python -c "from sklearn.datasets import fetch_covtype as f; f()"'
    )
    for made in (False, True):
        if made:  # an aborted fetch leaves the folder
            (home / "covertype").mkdir(parents=True)
        with pytest.raises(DataUnavailable) as error:
            dataset("covtype")
        assert str(error.value) == expected
        assert made or not home.exists()


@pytest.mark.parametrize("how", ["cut off", "garbage", "columns", "labels", "areas"])
def test_damaged_covtype_is_named(
    how: str, rows: tuple[np.ndarray, np.ndarray], home: Path
) -> None:
    x, y = rows
    if how in ("cut off", "garbage"):
        for file in (home / "covertype").iterdir():
            file.write_bytes(file.read_bytes()[:200] if how == "cut off" else b"garbage" * 9)
    elif how == "columns":
        write(home, x[:, :-1], y)
    elif how == "labels":
        write(home, x, y + 1)
    else:
        write(home, np.where(np.arange(54) == 10, 1, x), y)
    with pytest.raises(DataError) as error:
        dataset("covtype")
    assert str(error.value).startswith(
        f"{home / 'covertype'} does not hold what scikit-learn keeps"
    )


@pytest.fixture(autouse=True)
def forgotten() -> None:
    forget()
