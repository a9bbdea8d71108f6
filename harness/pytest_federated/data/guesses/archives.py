"""Guesses of NumPy's archives: which arrays are the features, the labels and the test set."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.npz import opened, read
from pytest_federated.data.guesses import names
from pytest_federated.data.guesses.guess import Guess

_X = ("x", "data", "features", "images", "inputs", "samples", "x_train", "train_x", "train_images",
      "train_data", "xtrain")  # fmt: skip
_Y = ("y", "labels", "label", "targets", "target", "classes", "y_train", "train_y", "train_labels",
      "train_targets", "ytrain")  # fmt: skip
_KERAS = {"x_train", "y_train", "x_test", "y_test"}
_MANY = 50  # different whole numbers beyond which a target of few examples is a number


def guess_archive(
    file: Path, path: str, label: Optional[str] = None, client: Optional[str] = None
) -> Guess:
    """Guesses how an archive is read; `label` and `client` are arrays, if known.

    Raises:
        DataError: it cannot be read, or it is not clear which arrays are the examples.

    """
    guess = Guess(names.as_name(file.name.partition(".")[0]), {"npz": path})
    shapes = array_shapes(file)
    for key, name in (("y", label), ("client", client)):
        if name is not None:
            shared.require_name(name, shapes, key, str(file), "array")
    y = label or names.first_of(_Y, shapes)
    x = names.first_of(_X, shapes)
    if y is None or x is None:
        x, y = _by_shape(file, shapes, x, y)
    if {*shapes} >= _KERAS and (x, y) == ("x_train", "y_train") and client is None:
        guess.settings = {"keras": path}
        guess.reasons["keras"] = "has the four arrays of keras.datasets"
        return guess
    for key, name in (("x", x), ("y", y)):
        if name != key:
            guess.add(key, name, f"an array of shape {_text(shapes[name])}")
    labels = read(file, {"y": y})["y"]
    rows = np.squeeze(labels, 1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    _add_task(guess, rows, x, shapes)
    of_clients = client or next(
        (n for n in names.client_like(shapes) if shapes[n] == (len(labels),)), None
    )
    if of_clients is not None:
        guess.add("client", of_clients, "as you say" if client else "by its name")
    _add_test(guess, path, x, y, shapes)
    return guess


def array_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Reads the shapes of the arrays of an archive, and none of their values.

    Raises:
        DataError: it is no archive.

    """
    shapes: dict[str, tuple[int, ...]] = {}
    with opened(file) as archive:
        for member in archive.zip.namelist():
            with archive.zip.open(member) as array:
                version = np.lib.format.read_magic(array)
                header = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    header = np.lib.format.read_array_header_2_0
                shapes[member.removesuffix(".npy")] = header(array)[0]
    return shapes


def _by_shape(
    file: Path, shapes: dict[str, tuple[int, ...]], x: Optional[str], y: Optional[str]
) -> tuple[str, str]:
    """Returns the features, an array of several dimensions, and the labels, one of as many rows."""
    for first, shape in shapes.items():
        if x not in (None, first) or len(shape) < 2 or shape[1:] == (1,):
            continue
        for second, other in shapes.items():
            is_column = len(other) == 1 or other[1:] == (1,)
            if y in (None, second) and second != first and is_column and other[0] == shape[0]:
                return first, second
    listed = ", ".join(f"{name} {_text(shape)}" for name, shape in shapes.items())
    raise DataError(
        f"{file}: it is not clear which arrays are examples and labels: {listed}; "
        "--label names the labels, and an array of examples is best called x"
    )


def _add_task(guess: Guess, labels: np.ndarray, x: str, shapes: dict[str, tuple[int, ...]]) -> None:
    kinds = np.unique(labels) if labels.dtype.kind in "biufU" else np.zeros(0)
    is_whole = labels.dtype.kind in "biu" or (
        labels.dtype.kind == "f" and bool((labels == np.rint(labels)).all())
    )
    if labels.ndim == 2:
        if is_whole and {*kinds.tolist()} <= {0, 1}:
            guess.add("task", "tags", f"{labels.shape[1]} values of 0 or 1 for each example")
        else:
            guess.add("task", "tokens", "a label at each position")
    elif not is_whole and labels.dtype.kind == "f":
        guess.add("task", "regression", "labels with fractions")
    elif is_whole and len(kinds) > max(_MANY, len(labels) // 20):
        guess.add("task", "regression", f"{len(kinds):,} different numbers")
    elif len(kinds) == 2:
        guess.add("task", "binary", "two labels")


def _add_test(guess: Guess, path: str, x: str, y: str, shapes: dict[str, tuple[int, ...]]) -> None:
    """Adds the test arrays of the same archive: those with test in the place of train."""
    others = {n: n.replace("train", "test") if "train" in n else f"{n}_test" for n in (x, y)}
    if all(other in shapes for other in others.values()):
        guess.add("test", path, "in the same archive")
        guess.settings.update(x_test=others[x], y_test=others[y])
        unused = [n for n in shapes if n.startswith("val")]
        if unused:
            guess.notes.append(f"{' and '.join(unused)} are not used")


def _text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one value"
