"""Tables that come with scikit-learn or that it has downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.bundled.packaged import of_sklearn, read_table
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    datasets,
    in_memory,
)
from pytest_federated.data.datasets.kept import kept

_SKLEARN = "the package scikit-learn"
_LICENSE = "CC BY 4.0"


@datasets(
    "breast_cancer",
    task="label",
    facts=Facts(examples="569", shape="30", labels="2 diagnoses", license=_LICENSE, files=_SKLEARN),
)
def breast_cancer(cache: Cache) -> Dataset:
    """569 tumors, malignant (0) or benign (1), by 30 measurements of their cells' nuclei.

    `x` is (30,): each feature minus its mean, divided by its standard deviation. Both are taken
    over all rows, so they are the same for every seed; the features of the test set, though not its
    labels, contribute to them.

    Source: W. Wolberg, O. Mangasarian, N. Street, W. Street, Breast Cancer Wisconsin (Diagnostic),
    UCI Machine Learning Repository, 1995, https://doi.org/10.24432/C5DW2B

    Raises:
        DataUnavailable: scikit-learn is not installed, or lacks its data.

    """
    return in_memory("breast_cancer", _table(of_sklearn("breast_cancer", "breast_cancer.csv")), 2)


@datasets(
    "wine",
    task="label",
    facts=Facts(examples="178", shape="13", labels="3 growers", license=_LICENSE, files=_SKLEARN),
)
def wine(cache: Cache) -> Dataset:
    """178 wines of three growers in one region, by 13 measurements of a chemical analysis.

    `x` is (13,), standardized as for breast_cancer.

    Source: S. Aeberhard, M. Forina, Wine, UCI Machine Learning Repository, 1992,
    https://doi.org/10.24432/C5PC7J

    Raises:
        DataUnavailable: scikit-learn is not installed, or lacks its data.

    """
    return in_memory("wine", _table(of_sklearn("wine", "wine_data.csv")), 3)


@datasets(
    "diabetes",
    task="regression",
    facts=Facts(
        examples="442",
        shape="10",
        labels="a number: the progression of the disease",
        license="none stated by the source",
        files=_SKLEARN,
    ),
)
def diabetes(cache: Cache) -> Dataset:
    """442 patients, by 10 measurements; how far the disease has progressed a year later.

    `x` is (10,), standardized as for breast_cancer. `y` is the measure of progression, a number,
    standardized as well: of 25 to 346, with mean 152 and standard deviation 77, in the source.

    Source: B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, Least Angle Regression, Annals of
    Statistics 32(2), 2004, section 1.

    Raises:
        DataUnavailable: scikit-learn is not installed, or lacks its data.

    """
    files = [of_sklearn("diabetes", f"diabetes_{part}.csv.gz") for part in ("data_raw", "target")]
    return in_memory("diabetes", _numbers(*files), 1, task="regression")


_MEASURES = 10  # of covtype: the columns that are not 0 or 1
_AREAS = ("rawah", "neota", "comanche-peak", "cache-la-poudre")  # the four columns that follow


@datasets(
    "covtype",
    task="label",
    reads=lambda settings, cache: [_home() / "covertype"],
    facts=Facts(
        examples="581,012",
        shape="54",
        labels="7 kinds of forest",
        natural="4 wilderness areas",
        license=_LICENSE,
        files="scikit-learn's cache, after `sklearn.datasets.fetch_covtype()`",
    ),
)
def covtype(cache: Cache) -> Dataset:
    """581,012 patches of forest, 30 m by 30 m, by cartographic measurements.

    `x` is (54,): ten measurements, standardized as for breast_cancer, then four columns for the
    wilderness areas and forty for the soil types, with 1 for those of the patch. Labels are the
    cover types 1..7 of the source minus one. The natural clients are the four wilderness areas,
    which differ in both sizes and labels. Read from scikit-learn's folder of downloads
    (`SCIKIT_LEARN_DATA`, or `~/scikit_learn_data`); this package does not download it.

    Source: J. Blackard, Covertype, UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50K5N

    Raises:
        DataUnavailable: scikit-learn has not downloaded it.
        DataError: the files are not what scikit-learn downloads.

    """
    examples, area = _covtype(_home())
    return in_memory("covtype", examples, 7, np.array(_AREAS)[area])


def _home() -> Path:
    """Returns the folder where scikit-learn keeps its downloads."""
    return Path(os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")).expanduser()


@kept
def _table(path: Path) -> Examples:
    x, y = read_table(path, skiprows=1)
    return Examples(_standardized(x), y)


@kept
def _numbers(features: Path, targets: Path) -> Examples:
    return Examples(_standardized(np.loadtxt(features)), _standardized(np.loadtxt(targets)))


@kept
def _covtype(home: Path) -> tuple[Examples, np.ndarray]:
    """Reads all examples, and the position of each one's area in `_AREAS`, int (n,)."""
    folder = home / "covertype"
    if not folder.is_dir():  # scikit-learn would create it
        raise _not_fetched(home)
    from sklearn.datasets import fetch_covtype

    try:
        bunch: Any = fetch_covtype(data_home=str(home), download_if_missing=False)
        x, y = bunch.data, bunch.target
        areas = x[:, _MEASURES : _MEASURES + len(_AREAS)]
        if x.shape[1] != 54 or (areas.sum(axis=1) != 1).any() or set(y) - set(range(1, 8)):
            raise ValueError(f"features of shape {x.shape}")
        measures = _standardized(x[:, :_MEASURES])
        values = np.concatenate([measures, x[:, _MEASURES:].astype(np.float32)], axis=1)
        return Examples(values, (y - 1).astype(np.int32)), areas.argmax(axis=1)
    except OSError as error:
        raise _not_fetched(home) from error
    except Exception as error:  # unpickling and decompressing raise errors of many kinds
        raise DataError(
            f"{folder} does not hold what scikit-learn keeps there ({error}); delete it and fetch "
            "it again"
        ) from error


def _not_fetched(home: Path) -> DataUnavailable:
    return DataUnavailable(
        f"covtype is not in scikit-learn's cache ({home}); fetch it once while online: "
        'python -c "from sklearn.datasets import fetch_covtype as f; f()"',
        here=str(home),
    )


def _standardized(x: np.ndarray) -> np.ndarray:
    """Scales each column to mean 0 and standard deviation 1, float32 (n, d)."""
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
