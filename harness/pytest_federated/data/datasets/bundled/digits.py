"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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

# The first row of each collection form. The rows are in the order of the forms, and each form
# repeats one sequence of about 130 labels: so the first rows were determined.
_FORMS = (0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667)


@kept
def _read(path: Path) -> Examples:
    pixels, labels = read_table(path)
    return Examples((pixels / 16).astype(np.float32).reshape(-1, 8, 8, 1), labels)


@datasets(
    "digits",
    task="label",
    facts=Facts(
        examples="1,797",
        shape="8 × 8 × 1",
        labels="10 digits",
        natural="14 collection forms",
        license="CC BY 4.0",
        files="the package scikit-learn",
    ),
)
def digits(cache: Cache) -> Dataset:
    """1,797 real handwritten digits, 8x8, from scikit-learn; needs no download.

    `x` is (8, 8, 1), gray levels 0..16 scaled to [0, 1]. The 14 natural clients are the
    collection forms that the digits were written on; a form is not a writer.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49 (its test part).

    Raises:
        DataUnavailable: scikit-learn is not installed, or lacks its data.

    """
    examples = _read(of_sklearn("digits", "digits.csv.gz"))
    form = np.searchsorted(_FORMS, np.arange(len(examples)), side="right") - 1
    names = np.array([f"form-{i:02d}" for i in range(len(_FORMS))])
    return in_memory("digits", examples, 10, names[form])
