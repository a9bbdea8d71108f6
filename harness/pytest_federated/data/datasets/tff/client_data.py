"""Clients from a function of the user's that returns TFF's `ClientData`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.core.progress import each
from pytest_federated.data.datasets.dataset import Cache, Dataset, TaskKind, datasets
from pytest_federated.data.datasets.files import columns as shared
from pytest_federated.tff.imports import import_tff
from pytest_federated.user.functions import UserFunction, blamed, first_line, require

Arguments = Annotated[dict[str, Any], Field(description="Keyword arguments of the function.")]

_BATCH = 4096  # examples that TensorFlow decodes at a time


@datasets("tff", has_test_set="test_set", facts=shared.FACTS)
def tff(
    cache: Cache,
    *,
    tff: UserFunction,
    args: Arguments = {},  # noqa: B006 - pydantic copies it
    x: Annotated[str, Field(description="The key of the features.")] = "x",
    y: Annotated[str, Field(description="The key of the label.")] = "y",
    task: shared.Task = "label",
    test_set: Annotated[bool, Field(description="It also returns a test set.")] = False,
) -> Dataset:
    """Your clients from a function that returns TFF's `ClientData`: `{tff: "my_clients:load"}`.

    The function is called with `args`. With `test_set` it returns two of them, for training and for
    testing, as TFF's own `load_data` functions do, and each client is tested on its own examples of
    the second; the test set may also be a `tf.data.Dataset`.
    Examples are mappings with the features under the key `x` and the label, a whole number from 0
    up or text, under `y` (with `task` a number, or several, as for `npz`); or they are pairs of
    features and label. Images (uint8) are scaled as for `npz`. The natural clients are its
    `client_ids`. All clients are read to learn which labels there are; for data that does not fit
    into memory, write a data set of your own instead (`@pytest_federated.dataset`).

    Source: https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/ClientData

    Raises:
        RuntimeUnavailable: TFF is not installed.
        DataError: the function fails or returns something else, or values cannot be features or
            labels.

    """
    client_data = import_tff().simulation.datasets.ClientData
    function = require(tff, "data.dataset.tff", DataError)
    try:
        returned = function(**args)
    except Exception as error:
        raise DataError(f"data.dataset.tff: {tff} raised {blamed(error)}") from error
    parts: Any = returned if test_set else (returned,)
    if not isinstance(parts, (tuple, list)) or len(parts) != 1 + test_set:
        raise DataError(
            f"data.dataset.tff: {tff} gave {_kind(returned)}, not a pair of clients to train on "
            "and a test set"
        )
    if not isinstance(parts[0], client_data):
        hint = "; it is a pair: say test_set: true" if isinstance(parts[0], (tuple, list)) else ""
        raise DataError(
            f"data.dataset.tff: {tff} gave {_kind(parts[0])}, not tff's ClientData{hint}"
        )
    train, held_out = _of_clients(parts[0], x, y, tff, task), None
    if test_set:
        test = parts[1]
        if isinstance(test, client_data):
            held_out = _of_clients(test, x, y, tff, task)
        elif hasattr(test, "element_spec"):
            held_out = _source(*_arrays(test, x, y, f"{tff}, test set"), tff, task)
        else:
            raise DataError(f"data.dataset.tff: {tff} gave {_kind(test)} as the test set")
    return shared.dataset(tff, train, held_out, task=task)


def _of_clients(clients: Any, x: str, y: str, name: str, task: TaskKind) -> shared.Source:
    """Reads the examples of all clients, in order."""
    features, labels, owners = [], [], []
    for client in each(clients.client_ids, f"reading {name}"):
        where = f"{name}, client {client!r}"
        client_x, client_y = _arrays(clients.create_tf_dataset_for_client(client), x, y, where)
        if features and len(client_x) and client_x.shape[1:] != features[0].shape[1:]:
            raise DataError(
                f"{where}: examples of shape {client_x.shape[1:]}; those of the clients before "
                f"have {features[0].shape[1:]}"
            )
        if len(client_x):
            features.append(client_x)
            labels.append(client_y)
            owners += [str(client)] * len(client_x)
    if not features:
        raise DataError(f"{name}: the clients have no examples")
    source = _source(np.concatenate(features), np.concatenate(labels), name, task)
    return dataclasses.replace(source, client=np.array(owners), client_name="client_ids")


def _source(features: np.ndarray, labels: np.ndarray, name: str, task: TaskKind) -> shared.Source:
    x = shared.features(features, f"{name}: features", task)
    return shared.Source(x, labels, name, "labels", x_name="features")


def _arrays(examples: Any, x: str, y: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads features (n, ...) and labels (n,) from a `tf.data.Dataset`."""
    spec = examples.element_spec
    if isinstance(spec, Mapping):
        shared.require_name(x, spec, "x", where, "key")
        shared.require_name(y, spec, "y", where, "key")
        if message := shared.features_are_labels(x, y, ("x", "y"), where):
            raise DataError(message)
    elif not isinstance(spec, tuple) or len(spec) != 2:
        raise DataError(f"{where}: examples are mappings, or pairs of features and label")
    first, second = (x, y) if isinstance(spec, Mapping) else (0, 1)
    try:
        batches = list(examples.batch(_BATCH).as_numpy_iterator())
    except Exception as error:  # whatever the user's pipeline raises
        raise DataError(f"{where}: reading its examples raised {first_line(error)}") from error
    if not batches:
        return np.empty((0, 1), np.float32), np.empty(0, np.int64)
    labels = np.concatenate([b[second] for b in batches])
    if labels.dtype.kind == "O":  # TensorFlow's text
        labels = np.array([v.decode(errors="replace") for v in labels.ravel()], str)
    return np.concatenate([b[first] for b in batches]), labels


def _kind(value: Any) -> str:
    return f"{type(value).__module__.partition('.')[0]}'s {type(value).__name__}".replace(
        "builtins's ", "a "
    )
