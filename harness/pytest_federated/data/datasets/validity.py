"""Checks of what a data set has read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from pytest_federated.core.errors import DataError, FederatedError
from pytest_federated.data.datasets.dataset import (
    Dataset,
    Examples,
    Loaded,
    classes_of,
)
from pytest_federated.data.datasets.files.columns import finite
from pytest_federated.user.functions import blamed, user_line


def load_valid(dataset: Dataset, wanted: Optional[Sequence[str]]) -> Loaded:
    """Loads and checks the examples of all natural clients, or of those in `wanted`.

    Features that are not in memory are not checked.

    Raises:
        DataError: the numbers of labels and examples differ, a label is out of range, a feature is
            missing or infinite, or the clients or the test set do not fit.

    """
    where = f"the data set {dataset.name}"
    try:
        loaded: Any = dataset.load(wanted)
    except FederatedError:
        raise
    except Exception as error:
        if user_line(error) is None:
            raise
        raise DataError(f"{where}: load raised {blamed(error)}") from error
    if not isinstance(loaded, Loaded):
        raise DataError(f"{where}: load gave {type(loaded).__name__}; it must give a Loaded")
    train = loaded.train
    _check_examples(train, dataset, f"{where}: the training examples")
    if loaded.test is not None:
        _check_examples(loaded.test, dataset, f"{where}: the test examples")
        ours, theirs = _form(train.x), _form(loaded.test.x)
        if len(train) and len(loaded.test) and ours != theirs:
            raise DataError(
                f"{where}: test examples of shape {theirs}; those to train on have {ours}"
            )
    if loaded.natural is not None:
        clients = len(dataset.natural if wanted is None else wanted)
        if len(loaded.natural) != len(train):
            raise DataError(
                f"{where}: {len(train)} training examples, and {len(loaded.natural)} say whose "
                "they are; each needs its client"
            )
        if len(train) and not 0 <= loaded.natural.min() <= loaded.natural.max() < clients:
            raise DataError(f"{where}: an example's client is none of the {clients} clients")
    _check_tested(loaded, dataset, wanted, where)
    return loaded


def _form(x: Any) -> Any:
    """Returns the shape of an example, or those of its inputs by name."""
    if x.dtype.names is None:
        return tuple(x.shape[1:])
    return {name: x.dtype[name].shape for name in x.dtype.names}


def _check_tested(
    loaded: Loaded, dataset: Dataset, wanted: Optional[Sequence[str]], where: str
) -> None:
    """Raises DataError if the clients of the test examples do not fit them."""
    tested = loaded.test_natural
    if tested is None:
        return
    examples = 0 if loaded.test is None else len(loaded.test)
    if len(tested) != examples:
        raise DataError(
            f"{where}: {examples} test examples, and {len(tested)} say whose they are; each needs "
            "its client"
        )
    clients = len(dataset.natural if wanted is None else wanted) + len(dataset.only_tested)
    if examples and not -1 <= tested.min() <= tested.max() < clients:
        raise DataError(f"{where}: a test example's client is none of the {clients} clients")


def _check_examples(examples: Examples, dataset: Dataset, where: str) -> None:
    x, y = examples.x, np.asarray(examples.y)
    if x.shape[0] != len(y):
        raise DataError(
            f"{where} have {x.shape[0]} rows of x, and {len(y)} of y; each x needs its y"
        )
    if type(x) is np.ndarray:
        parts = {"x": x} if x.dtype.names is None else {f"x[{n!r}]": x[n] for n in x.dtype.names}
        for name, values in parts.items():
            if values.dtype.kind == "f":
                finite(values, f"{where}: {name}")
    if dataset.task == "regression":
        if y.ndim != 1 or y.dtype != np.float32:
            raise DataError(
                f"{where} have y of shape {y.shape} and type {y.dtype}; with the task regression "
                "they are float32, (n,)"
            )
        finite(y, f"{where}: y")
        return
    if dataset.task == "tags":
        if y.ndim != 2 or y.shape[1] != dataset.num_classes:
            raise DataError(
                f"{where} have tags of shape {y.shape}, not ({len(y)}, {dataset.num_classes})"
            )
        return
    if y.ndim != (2 if dataset.task == "tokens" else 1) or y.dtype.kind not in "iu":
        raise DataError(
            f"{where} have y of shape {y.shape} and type {y.dtype}; whole numbers are needed, "
            + ("(n, positions)" if dataset.task == "tokens" else "(n,)")
        )
    low: Any = 0 if dataset.task == "tokens" or not len(y) else y.min()
    high = classes_of(y, dataset.task).max(initial=-1)
    if low < 0 or high >= dataset.num_classes:
        raise DataError(
            f"{where} have the label {low if low < 0 else high}; with num_classes "
            f"{dataset.num_classes} they are 0 to {dataset.num_classes - 1}"
        )
