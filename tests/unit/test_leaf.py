"""Federations in LEAF's JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import dataset
from own_files import made, refusal
from written_files import write_users

pytestmark = pytest.mark.usefixtures("in_tmp_path")

DATA: dict[str, dict[str, Any]] = {
    "f_00000": {"x": [[0.0, 1.5], [2, 3]], "y": [1.0, 0.0]},
    "f_00001": {"x": [[4, 5.5]], "y": [2.0]},
}


def write(part: str, users: dict[str, Any], name: str = "all_data_0.json") -> None:
    write_users(f"fed/data/{part}", users, name)


def test_users_are_the_natural_clients() -> None:
    write("train", DATA)
    write("train", {"f_00002": {"x": [[6, 7], [8, 9]], "y": [0, 1]}}, "all_data_1.json")
    write("test", {"f_00001": {"x": [[1, 1]], "y": [2]}})
    data = made({"kind": "leaf", "leaf": "fed/data"}, split="natural")
    assert data.names == ("f_00000", "f_00001", "f_00002")
    assert [data.examples(c).x.tolist() for c in range(3)] == [
        *([[0, 1.5], [2, 3]], [[4, 5.5]], [[6, 7], [8, 9]])
    ]
    assert [data.examples(c).y.tolist() for c in range(3)] == [[1, 0], [2], [0, 1]]
    assert data.test.x[:].tolist() == [[1, 1]] and data.num_classes == 3
    assert data.train.x.dtype == np.float32


def test_examples_may_have_a_shape() -> None:
    write("train", DATA)
    write("test", {"f_00001": {"x": [[1, 1]], "y": [2]}})
    read = dataset(leaf="fed/data", shape=[2, 1, 1])
    assert read.load(None).train.x.shape == (3, 2, 1, 1)
    assert "2 numbers in an example do not fit the shape [3]" in refusal(
        dataset, leaf="fed/data", shape=[3]
    )


@pytest.mark.parametrize(
    "users, message",
    [
        ({"a": {"x": ["a.jpg"], "y": [0]}}, "x is text, or names of files"),
        ({"a": {"x": [[1, 2], [3]], "y": [0, 1]}}, "lists of several lengths"),
        ({"a": {"x": [[1, 2]], "y": [0, 1]}}, "as many rows as each other: 'x' has 1, 'y' has 2"),
        ({"a": {"x": [[1, 2]]}}, "the user 'a' has no lists x and y"),
        ({"a": [1]}, "the user 'a' has no lists x and y"),
        ({}, "there are no examples in it"),
        ({"a": {"x": [[1, float("nan")]], "y": [0]}}, "x, row 1: a number is missing (NaN)"),
        ({"a": {"x": [[1, 2]], "y": [0.5]}}, "y, row 1: 0.5 is no whole number"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(users: dict[str, Any], message: str) -> None:
    write("train", users)
    write("test", DATA)
    assert message in refusal(dataset, leaf="fed/data")


def test_a_folder_without_json_files_is_named() -> None:
    write("test", DATA)
    assert "train: there are no .json files in it" in refusal(dataset, leaf="fed/data")


@pytest.mark.parametrize(
    "content, message",
    [
        ("", " cannot be read: Expecting value"),
        ("[1]", ": has no user_data, as LEAF's files have"),
        ('{"user_data": 3}', ": has no user_data, as LEAF's files have"),
        ("[" * 100_000, " cannot be read: maximum recursion depth exceeded"),
    ],
)
def test_a_file_that_is_none_of_leaf_is_named(content: str, message: str) -> None:
    write("train", DATA)
    write("test", DATA)
    Path("fed/data/train/b.json").write_text(content)
    assert f"train/b.json{message}" in refusal(dataset, leaf="fed/data")
