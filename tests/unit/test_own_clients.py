"""TFF's ClientData from a function of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import dataset
from own_files import made, refusal
from pytest_federated.data.schema import Data

MODULE = """\
import collections
import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

def load(classes=3, pair=False, lone=False, keys="xy", text=False):
    rng = np.random.default_rng(1)
    def examples(n):
        x = rng.integers(256, size=(n, 4, 4), dtype=np.uint8)
        y = np.arange(n) % classes
        if text:
            y = np.array([f"label {v}" for v in y])
        return (x, y) if not keys else collections.OrderedDict(zip(keys, (x, y)))
    train = tff.simulation.datasets.TestClientData({"ann": examples(6), "bob": examples(4)})
    if lone:
        return train, tf.data.Dataset.from_tensor_slices(examples(5))
    test = tff.simulation.datasets.TestClientData({"eve": examples(3)})
    return (train, test) if pair else train

def nothing():
    return None

def broken():
    return 1 / 0
"""


@pytest.fixture
def clients(tff: Any, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_tmp_path / "fed_own_clients.py").write_text(MODULE)
    monkeypatch.syspath_prepend(in_tmp_path)


def test_tff_clients_are_read(clients: None) -> None:
    chosen = {"kind": "tff", "tff": "fed_own_clients:load"}
    data = made({**chosen, "args": {"classes": 4}}, split="natural")
    assert (data.names, data.num_classes) == (("ann", "bob"), 4)
    assert data.examples(0).x.shape[1:] == (4, 4, 1)
    read = dataset(**chosen).load(["bob"])
    rng = np.random.default_rng(1)
    x = [rng.integers(256, size=(n, 4, 4), dtype=np.uint8) for n in (6, 4)]
    np.testing.assert_array_equal(read.train.x[:], x[1][..., None] / np.float32(255))
    assert read.train.y.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("args", "tests"), [({"pair": True}, 3), ({"lone": True}, 5), ({"lone": True, "keys": ""}, 5)]
)
def test_tff_clients_may_come_with_a_test_set(clients: None, args: Any, tests: int) -> None:
    chosen = {"kind": "tff", "tff": "fed_own_clients:load", "args": args, "test_set": True}
    data = made(chosen, split="natural")
    assert (len(data.train), len(data.test), data.num_classes) == (10, tests, 3)


def test_tff_clients_may_have_text_labels_under_other_names(clients: None) -> None:
    args = {"keys": ["image", "what"], "text": True}
    chosen = {"kind": "tff", "tff": "fed_own_clients:load", "args": args}
    read = dataset(**chosen, x="image", y="what")
    assert read.num_classes == 3
    assert read.load(["bob"]).train.y.tolist() == [0, 1, 2, 0]
    assert refusal(made, chosen, split="natural") == (
        "fed_own_clients:load, client 'ann' has no key 'x' (data.dataset.x); allowed: image, what"
    )


@pytest.mark.parametrize(
    ("function", "test_set", "message"),
    [
        ("nothing", False, "fed_own_clients:nothing gave a NoneType, not tff's ClientData"),
        ("nothing", True, "fed_own_clients:nothing gave a NoneType, not a pair of clients to train "
         "on and a test set"),
        ("load_pair", False, "the module 'fed_own_clients' has no function 'load_pair'"),
        ("broken", False, "fed_own_clients:broken raised ZeroDivisionError: division by zero ("),
    ],
)  # fmt: skip
def test_a_tff_function_that_fails_is_named(
    clients: None, function: str, test_set: bool, message: str
) -> None:
    said = refusal(dataset, tff=f"fed_own_clients:{function}", test_set=test_set)
    assert said.startswith(f"data.dataset.tff: {message}")


def test_a_tff_pair_needs_test_set(clients: None) -> None:
    said = refusal(dataset, tff="fed_own_clients:load", args={"pair": True})
    assert said.endswith("not tff's ClientData; it is a pair: say test_set: true")


def test_tff_is_a_module_and_function() -> None:
    with pytest.raises(ValueError, match="String should match pattern"):
        Data.model_validate({"dataset": {"tff": "no function"}})
