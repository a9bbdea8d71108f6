"""Examples with several inputs: from a dict of arrays, and from the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import NO_CACHE
from own_files import made, refusal
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Dataset, Examples, Loaded, in_memory, inputs_of
from pytest_federated.data.datasets.validity import load_valid
from pytest_federated.data.splits.partition import Pool, assign, splits
from pytest_federated.training.models.model import Shape

pytestmark = pytest.mark.usefixtures("in_tmp_path")

RNG = np.random.default_rng(0)
TABLE = [(f"{RNG.normal():.3f}", f"{RNG.normal():.3f}", "abc"[i % 3], i % 2) for i in range(24)]


def write_table(name: str = "visits.csv", rows: Any = TABLE) -> None:
    lines = ["pulse,pressure,ward,died", *(",".join(map(str, row)) for row in rows)]
    Path(name).write_text("\n".join(lines))


def table(**keys: Any) -> dict[str, Any]:
    inputs = {"vitals": ["pulse", "pressure"], "ward": ["ward"]}
    return {
        **{"csv": "visits.csv", "label": "died", "categories": ["ward"], "features": inputs},
        **keys,
    }


def test_examples_of_several_inputs_are_taken_and_joined_as_others() -> None:
    image, age = RNG.normal(size=(5, 2, 3)), np.arange(5)
    examples = Examples({"image": image, "age": age}, np.arange(5))
    some = examples.take(np.array([3, 1]))
    inputs = inputs_of(np.concatenate([some.x, examples.select(np.array([0])).x]))
    assert list(inputs) == ["image", "age"]
    np.testing.assert_array_equal(inputs["image"], image[[3, 1, 0]])
    np.testing.assert_array_equal(inputs["age"], [3, 1, 0])
    assert inputs["age"].dtype == age.dtype
    assert inputs_of(image) is image


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": np.zeros(3), "b": np.zeros(4)},
         "inputs need as many rows as each other; there are: a 3, b 4"),
        ({"a b": np.zeros(3)}, "got 'a b' as the name of an input; allowed: letters, digits and _"),
        ({"a": np.array(["x"])}, "the input 'a' is <U1 of shape (1,); numbers (n, ...) are needed"),
        ({}, "inputs need as many rows as each other; there are: none"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_are_refused(columns: Mapping[str, Any], message: str) -> None:
    assert refusal(Examples, columns, np.arange(3)) == message


def test_each_input_is_checked() -> None:
    bad = Examples({"a": np.zeros(3), "b": np.array([[0.0], [1.0], [np.nan]])}, np.array([0, 1, 0]))
    data = in_memory("mine", bad, 2)
    expected = r"the data set mine: the training examples: x\['b'\], row 3: a number is missing"
    with pytest.raises(DataError, match=expected):
        load_valid(data, None)
    good = Examples({"a": np.zeros(3)}, np.array([0, 1, 0]))
    other = Examples({"b": np.zeros(3)}, np.array([0, 1, 0]))
    mixed = Dataset("mine", 2, [], lambda wanted: Loaded(good, test=other))
    with pytest.raises(DataError, match=r"test examples of shape {'b': \(\)}; those to train on h"):
        load_valid(mixed, None)


def test_columns_of_a_table_become_inputs() -> None:
    write_table()
    data = made(table(), count=2)
    inputs = inputs_of(data.train.x)
    assert {name: values.shape[1:] for name, values in inputs.items()} == {
        "vitals": (2,),
        "ward": (3,),
    }
    one = made(table(features=["pulse", "pressure", "ward"]), count=2)
    np.testing.assert_array_equal(np.concatenate([*inputs.values()], axis=1), one.train.x)
    for ours, theirs in zip(data.clients, one.clients):
        np.testing.assert_array_equal(ours, theirs)


def test_standard_scores_marks_and_test_tables_are_those_of_each_input() -> None:
    write_table(rows=[("", "1.5", "a", 1), *TABLE])
    write_table("later.csv", TABLE[:9])
    keys = {"missing": "indicator", "standardize": True, "test": "later.csv"}
    data = made(table(**keys), count=2)
    inputs = inputs_of(data.train.x)
    assert inputs["vitals"].shape == (25, 3)  # with the mark of pulse
    assert (inputs["vitals"][:, 2] > 0).sum() == 1
    assert inputs["ward"].shape == (25, 3)
    assert inputs_of(data.test.x)["vitals"].shape == (9, 3)
    write_table("same.csv", [("", "1.5", "a", 1), *TABLE])
    assert "are the training examples" in refusal(
        made, table(**{**keys, "test": "same.csv"}), count=2
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"features": {"vitals": ["pluse"]}, "categories": []},
         "has no column 'pluse' (data.dataset.features)"),
        ({"features": {"vitals": ["pulse"]}},
         "column 'ward' is under categories, not under features"),
        ({"features": {"vitals": ["died"]}, "categories": []},
         "column 'died' is both under features and the label or the client"),
        ({"shape": [1, 5]}, "data.dataset.shape: is for one input; features names several"),
    ],
)  # fmt: skip
def test_wrong_columns_of_inputs_are_named(keys: dict[str, Any], message: str) -> None:
    write_table()
    assert message in refusal(made, table(**keys), count=2)


def test_the_semantic_split_takes_all_inputs_together() -> None:
    x = RNG.normal(size=(60, 5)).astype(np.float32)
    y = np.arange(60) % 2
    named = Examples({"a": x[:, :2], "b": x[:, 2:].reshape(60, 3, 1)}, y)
    split = splits.parse({"kind": "semantic", "components": 2})
    one, other = (
        assign(split, Pool(y, 4, x=features, num_classes=2), np.random.default_rng(0))
        for features in (x, named.x)
    )
    np.testing.assert_array_equal(one, other)


def test_shapes_of_inputs_are_a_mapping() -> None:
    shape = Shape((), 2, inputs={"a": ((2, 3), "float32"), "b": ((), "int32")})
    assert shape.shape_of_inputs == {"a": (2, 3), "b": ()}
    assert Shape((4,), 2).shape_of_inputs == (4,)


def test_clients_hold_out_and_describe_as_ever() -> None:
    write_table()
    from pytest_federated.data.federation import federate
    from pytest_federated.data.schema import Data

    data = Data.model_validate({"dataset": table(), "holdout": "per_client"})
    federated = federate(data, Clients.model_validate({"count": 2}), 0, NO_CACHE)
    assert list(inputs_of(federated.test_examples(0).x)) == ["vitals", "ward"]
