"""Federations in the JSON files of LEAF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Dataset, datasets
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.data.datasets.files.json_files import read_json
from pytest_federated.user.files import UserPath, find

_PARTS = ("train", "test")


def _glance(settings: Any) -> Iterator[tuple[str, str]]:
    """Yields that there are no files; see `Spec.glance`."""
    folder = find(settings.leaf, "data.dataset.leaf", folder=True)
    for part in _PARTS:
        try:
            _files(folder / part)
        except DataError as error:
            yield "leaf", str(error)
            return


@datasets("leaf", has_test_set=True, facts=shared.FACTS, glance=_glance)
def leaf(cache: Cache, *, leaf: UserPath, shape: shared.Shape = None) -> Dataset:
    """A folder that LEAF's preprocessing wrote, with train/ and test/: `{leaf: femnist/data}`.

    Each .json file in the two has `users` and, in `user_data`, each user's `x`, lists of numbers,
    and `y`, labels. FedProx's and other authors' federations come in the same form. The users are
    the natural clients, each tested on its own test examples; the test set holds those of all of
    them. `x` is (numbers,)
    float32, unchanged, or has the `shape` of the scenario. Text and names of image files are
    refused.

    Source: S. Caldas et al., LEAF: A Benchmark for Federated Settings, arXiv:1812.01097;
    https://github.com/TalwalkarLab/leaf

    Raises:
        DataError: no such folder or files, or they are not in this form.

    """
    folder = find(leaf, "data.dataset.leaf", folder=True)
    parts = [_source(folder / part, shape) for part in _PARTS]
    return shared.dataset(folder.name, parts[0], parts[1])


def _source(folder: Path, shape: Optional[list[int]]) -> shared.Source:
    """Returns the examples of all files of a folder."""
    files = _files(folder)
    x: list[Any] = []
    y: list[Any] = []
    users: list[str] = []
    for file in files:
        for user, own in _user_data(file).items():
            if not isinstance(own, dict) or not all(isinstance(own.get(k), list) for k in "xy"):
                raise DataError(f"{file}: the user {user!r} has no lists x and y")
            shared.same_length({k: len(own[k]) for k in "xy"}, f"{file}: the user {user!r}")
            x += own["x"]
            y += own["y"]
            users += [user] * len(own["y"])
    try:
        features = np.array(x)
    except ValueError:
        raise DataError(f"{folder}: the examples of x are lists of several lengths") from None
    if features.dtype.kind == "U":
        raise DataError(f"{folder}: x is text, or names of files; lists of numbers are needed")
    features = shared.features(features.reshape(len(x), -1) if x else features, f"{folder}: x")
    return shared.Source(
        shared.shaped(features, shape, str(folder)),
        np.array(y),
        str(folder),
        "y",
        np.array(users, str),
        "users",
        "x",
    )


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise DataError(f"{folder}: there are no .json files in it, as LEAF writes them")
    return files


def _user_data(file: Path) -> dict[str, Any]:
    content = read_json(file)
    data = content.get("user_data") if isinstance(content, dict) else None
    if not isinstance(data, dict):
        raise DataError(f"{file}: has no user_data, as LEAF's files have")
    return data
