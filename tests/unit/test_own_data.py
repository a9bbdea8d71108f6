"""Data sets from the user's files: what is read from them, and why some are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import dataset, save
from example_results import history as made_history
from hypothesis import given
from hypothesis import strategies as st
from own_files import COLORED, DIGITS, IMAGES, RNG, draw, made, refusal
from pytest_federated import load_file, run
from pytest_federated.__main__ import main
from pytest_federated.core.errors import DataUnavailable
from pytest_federated.data.datasets.files import columns as own
from pytest_federated.data.datasets.files.label_encoding import Labels
from pytest_federated.running import pipeline
from pytest_federated.running.fingerprint import ingredients, training_key
from pytest_federated.running.options import Options
from pytest_federated.running.store import Store
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.history import TrainingHistory
from pytest_federated.user.files import find, fingerprint
from pytest_federated.user.modules import own_folders

pytestmark = pytest.mark.usefixtures("in_tmp_path")


# labels


@given(st.lists(st.text(), min_size=1))
def test_text_labels_are_numbered_in_sorted_order(words: list[str]) -> None:
    column = np.array(words, object)
    labels = Labels.of(column, "here")
    assert labels.values is not None
    assert [str(labels.values[i]) for i in labels.encode(column, "here")] == [
        str(np.array(w)) for w in words
    ]
    assert sorted(set(labels.values)) == list(labels.values)
    assert labels.num_classes == len({str(np.array(w)) for w in words})


@given(st.lists(st.integers(-3, 200), min_size=1))
def test_whole_numbers_are_the_labels_if_the_lowest_is_0(numbers: list[int]) -> None:
    for column in (np.array(numbers), np.array(numbers, float), np.array(numbers, object)):
        labels = Labels.of(column, "here")
        encoded = labels.encode(column, "here")
        if min(numbers) == 0:
            assert encoded.tolist() == numbers
            assert labels.num_classes == max(numbers) + 1
            assert labels.names == ()
        else:
            assert encoded.tolist() == [sorted(set(numbers)).index(n) for n in numbers]
            assert labels.num_classes == len(set(numbers))
            assert labels.names == tuple(map(str, sorted(set(numbers))))
        assert encoded.dtype == np.int32


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([0, 1.5], "here, row 2: 1.5 is no whole number"),
        ([0, np.nan], "here, row 2: the value is missing"),
        (np.array(["a", None], object), "here, row 2: the value is missing"),
        (np.array(["a", "b", 3.5], object), "here, row 3: 3.5 is neither text nor a whole number"),
        (np.zeros((2, 3)), "here: one value for each example is needed, not (3,)"),
        (np.zeros(2, complex), "here: text or whole numbers are needed, not values of type "),
        ([0, 99999], "here, row 2: the label 99999 makes 100000 labels, of which 2 are in use"),
    ],
)
def test_invalid_labels_are_named(column: Any, message: str) -> None:
    assert refusal(Labels.of, np.asarray(column), "here").startswith(message)


def test_a_label_that_only_the_test_set_has_is_named() -> None:
    words = Labels.of(np.array(["oak", "elm"]), "here")
    assert refusal(words.encode, np.array(["elm", "ash"]), "there") == (
        "there, row 2: the label 'ash' is none of the training examples'; these are elm, oak"
    )
    assert refusal(words.encode, np.array([1]), "there").startswith("there, row 1: the label 1 is")
    numbers = Labels.of(np.arange(20), "here")
    assert refusal(numbers.encode, np.array([20]), "there").endswith(
        "these are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., 19"
    )


def test_whole_numbers_are_the_labels_if_their_number_is_stated() -> None:
    """As in a file that lists all its labels, when this part has only some of them."""
    labels = Labels.of(np.array([2, 5]), "here", at_least=10)
    assert labels.num_classes == 10
    assert labels.encode(np.array([5, 2]), "here").tolist() == [5, 2]


@given(st.permutations(range(12)))
def test_sorting_a_file_changes_no_clients(order: list[int]) -> None:
    x, whose = np.arange(24.0).reshape(12, 2) % 7, np.array(["u10", "u9", "u1", "v"])[DIGITS]
    save("a.npz", x=x, y=DIGITS, whose=whose)
    save("b.npz", x=x[order], y=DIGITS[order], whose=whose[order])
    first, second = (dataset(npz=f"{name}.npz", client="whose") for name in "ab")
    assert list(first.natural) == list(second.natural) == ["u1", "u9", "u10"]
    for names in (None, ["u9"], ["u10", "u1"]):
        one, other = first.load(names), second.load(names)
        assert one.natural is not None and other.natural is not None
        for client in range(len(names or first.natural)):
            pair = [of.train.x[of.natural == client].tolist() for of in (one, other)]
            assert sorted(pair[0]) == sorted(pair[1])


def test_labels_keep_their_names(in_tmp_path: Path) -> None:
    (in_tmp_path / "a.csv").write_text("size,fate\n1.5,survived\n2,died\n3.5,died\n")
    assert dataset(csv="a.csv", label="fate").label_names == ("died", "survived")
    (in_tmp_path / "b.csv").write_text("size,stars\n1.5,5\n2,1\n3.5,1\n")
    assert dataset(csv="b.csv", label="stars").label_names == ("1", "5")


def test_an_npz_file_is_read() -> None:
    x = RNG.normal(size=(12, 2, 3))
    save("a.npz", x=x, y=DIGITS)
    read = dataset(npz="a.npz")
    loaded = read.load(None)
    assert (read.name, read.num_classes, list(read.natural)) == ("a.npz", 3, [])
    np.testing.assert_array_equal(loaded.train.x, x.astype(np.float32))
    np.testing.assert_array_equal(loaded.train.y, DIGITS)
    assert (loaded.train.x.dtype, loaded.train.y.dtype) == (np.float32, np.int32)
    assert loaded.test is None


def test_an_npz_file_of_images_may_have_clients_and_a_test_set() -> None:
    whose = np.array(["ann", "bob", "eve"])[np.arange(12) // 4]
    save("a.npz", pictures=IMAGES, digits=DIGITS.astype(np.uint8)[:, None], whose=whose)
    save("b.npz", pictures=IMAGES[:4], digits=DIGITS[:4])
    chosen = {
        **{"kind": "npz", "npz": "a.npz", "x": "pictures", "y": "digits"},
        **{"client": "whose", "test": "b.npz"},
    }
    data = made(chosen, split="natural")
    assert data.names == ("ann", "bob", "eve")
    for client in range(3):
        own_images = IMAGES[4 * client : 4 * client + 4, ..., np.newaxis]
        examples = data.examples(client)
        np.testing.assert_array_equal(examples.x, own_images.astype(np.float32) / 255)
        np.testing.assert_array_equal(examples.y, DIGITS[4 * client : 4 * client + 4])
    np.testing.assert_array_equal(data.test.x[:], IMAGES[:4, ..., np.newaxis] / np.float32(255))
    some = made(chosen, split="natural", count=2)
    assert set(some.names) < {"ann", "bob", "eve"} and len(some.test) == 4


def test_an_npz_file_may_hold_its_own_test_set() -> None:
    """In other arrays, as MedMNIST has it: images of bytes, and labels (n, 1)."""
    images, labels = RNG.integers(256, size=(9, 4, 5)).astype(np.uint8), np.arange(9)[:, None] % 3
    arrays = {"train_images": images[:6], "test_images": images[6:]}
    save("m.npz", **arrays, train_labels=labels[:6].astype(np.uint8), test_labels=labels[6:])
    keys = {"npz": "m.npz", "x": "train_images", "y": "train_labels"}
    loaded = dataset(**keys, test="m.npz", x_test="test_images", y_test="test_labels").load(None)
    assert loaded.test is not None
    np.testing.assert_array_equal(loaded.train.x[:], images[:6, ..., None] / np.float32(255))
    np.testing.assert_array_equal(loaded.test.x[:], images[6:, ..., None] / np.float32(255))
    assert loaded.train.y.tolist() + loaded.test.y.tolist() == labels[:, 0].tolist()
    message = refusal(lambda: dataset(**keys, test="m.npz", y_test="labels_test"))
    assert "has no array 'labels_test' (data.dataset.y_test)" in message
    message = refusal(lambda: dataset(**keys, x_test="test_images"))
    assert message == ("data.dataset.x_test: names an array of data.dataset.test, which is missing")


@pytest.mark.parametrize("client", [None, "whose"])
def test_a_natural_split_needs_natural_clients(client: Any) -> None:
    save("a.npz", x=IMAGES, y=DIGITS, whose=np.arange(12) // 6)
    chosen = {"kind": "npz", "npz": "a.npz", "client": client}
    if client:
        assert made(chosen, split="natural").names == ("0", "1")
    else:
        assert refusal(made, chosen, split="natural") == (
            "the data set a.npz has no natural clients; name them under data.dataset.client, or "
            "choose another split"
        )


@pytest.mark.parametrize(
    ("arrays", "chosen", "message"),
    [
        ({"y": DIGITS, "xs": IMAGES}, {}, "a.npz has no array 'x' (data.dataset.x); "
         "allowed: y, xs; did you mean 'xs'?"),
        ({"x": IMAGES, "y": DIGITS[:5]}, {}, "a.npz: these should have as many rows as each other: "
         "'x' has 12, 'y' has 5"),
        ({"x": IMAGES, "y": 3}, {}, "a.npz: array 'y' is a single value, not rows"),
        ({"x": IMAGES[:0], "y": DIGITS[:0]}, {}, "a.npz: there are no examples in it"),
        ({"x": np.array(list("abc")), "y": DIGITS[:3]}, {}, "a.npz: array 'x': features are "
         "numbers, not text"),
        ({"x": [[1, 2], [3, np.nan]], "y": [0, 1]}, {}, "a.npz: array 'x', row 2: a number is "
         "missing (NaN)"),
        ({"x": [[1, np.inf]], "y": [0]}, {}, "a.npz: array 'x', row 1: a number is infinite"),
        ({"x": IMAGES, "y": np.array([{}] * 12)}, {}, "a.npz cannot be read as an .npz archive of "
         "NumPy: Object arrays cannot be loaded when allow_pickle=False"),
        ({"x": IMAGES, "y": DIGITS, "c": np.full(12, 0.5)}, {"client": "c"}, "a.npz: array 'c', "
         "row 1: 0.5 is no whole number"),
        ({"x": IMAGES, "y": DIGITS}, {"test": "b.npz"}, "b.npz: examples of shape (4, 5, 1); those "
         "of a.npz have (5, 4, 1)"),
    ],
)  # fmt: skip
def test_an_invalid_npz_file_is_named(
    arrays: Any, chosen: Any, message: str, in_tmp_path: Path
) -> None:
    save("a.npz", **arrays)
    save("b.npz", x=IMAGES.transpose(0, 2, 1), y=DIGITS)
    assert refusal(dataset, npz="a.npz", **chosen).replace(f"{in_tmp_path}/", "") == message


MISSING = (
    "the value is missing; data.dataset.missing can be drop, median, most_frequent or indicator"
)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_npz_is_named(content: bytes, in_tmp_path: Path) -> None:
    Path("a.npz").write_bytes(content)
    message = refusal(dataset, npz="a.npz")
    assert message.startswith(f"{in_tmp_path}/a.npz cannot be read as an .npz archive of NumPy: ")


def test_one_array_is_no_npz() -> None:
    np.save("a.npy", IMAGES)
    assert refusal(dataset, npz="a.npy").endswith("of NumPy: it is a single array")


# tables

TABLE = """\
age,weight,sex,hospital,outcome
30,70.5,f,north,ill
41,80,m,south,well
52,61.25,m,north,well
23,55,f,west,ill
"""
AGES, WEIGHTS = [30, 41, 52, 23], [70.5, 80, 61.25, 55]
VISITS = {"csv": "visits.csv", "label": "outcome", "client": "hospital", "categories": ["sex"]}


@pytest.fixture
def visits(in_tmp_path: Path) -> Path:
    file = in_tmp_path / "visits.csv"
    file.write_text(TABLE)
    return file


def test_a_csv_file_is_read(visits: Path) -> None:
    read = dataset(**VISITS)
    loaded = read.load(None)
    assert (read.name, read.num_classes) == ("visits.csv", 2)
    assert list(read.natural) == ["north", "south", "west"]
    expected = np.array([AGES, WEIGHTS, [1, 0, 0, 1], [0, 1, 1, 0]], np.float32).T
    np.testing.assert_array_equal(loaded.train.x, expected)
    assert loaded.train.x.dtype == np.float32
    assert loaded.train.y.tolist() == [0, 1, 1, 0]
    assert loaded.natural is not None and loaded.natural.tolist() == [0, 1, 0, 2]
    only = dataset(**{**VISITS, "features": ["weight", "age"], "categories": []})
    np.testing.assert_array_equal(only.load(None).train.x, np.array([WEIGHTS, AGES]).T)


def test_a_csv_file_is_standardized_by_the_training_table(visits: Path, in_tmp_path: Path) -> None:
    (in_tmp_path / "later.csv").write_text(
        TABLE.replace("30,", "40,").replace("hospital", "clinic")
    )
    read = dataset(**VISITS, standardize=True, test="later.csv")
    loaded = read.load(None)
    x = loaded.train.x
    np.testing.assert_allclose(x[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x[:, :2].std(axis=0), 1, atol=1e-6)
    assert set(np.unique(x[:, 2:])) == {0, 1}
    assert loaded.test is not None
    np.testing.assert_allclose(loaded.test.x[0, 0], (40 - np.mean(AGES)) / np.std(AGES), rtol=1e-6)
    np.testing.assert_array_equal(loaded.test.x[1:], x[1:])


def test_a_constant_csv_column_becomes_zero(in_tmp_path: Path) -> None:
    (in_tmp_path / "flat.csv").write_text("age,sex,hospital,outcome\n7,f,a,0\n7,m,b,1\n")
    x = dataset(**{**VISITS, "csv": "flat.csv"}, standardize=True).load(None).train.x
    assert (x[:, 0] == 0).all()


def test_a_csv_file_may_hold_images_and_another_separator(in_tmp_path: Path) -> None:
    (in_tmp_path / "a.csv").write_text("digit;a;b;c;d\n3;0;1;2;3\n0;4;5;6;7\n")
    read = dataset(csv="a.csv", label="digit", separator=";", shape=[2, 2, 1])
    train = read.load(None).train
    np.testing.assert_array_equal(train.x[..., 0], np.arange(8).reshape(2, 2, 2))
    assert (train.y.tolist(), read.num_classes) == ([3, 0], 4)


BAD_TABLES: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({}, {"label": "outcom"}, "visits.csv has no column 'outcom' (data.dataset.label); allowed: "
     "age, weight, sex, hospital, outcome; did you mean 'outcome'?"),
    ({}, {"client": "who"}, "visits.csv has no column 'who' (data.dataset.client); allowed: "
     "age, weight, sex, hospital, outcome"),
    ({}, {"features": ["age", "sex", "outcome"]}, "visits.csv: column 'outcome' is both under "
     "features and the label or the client"),
    ({}, {"categories": []}, "visits.csv: column 'sex', row 1: 'f' is no number; list the columns "
     "to learn from under features, and those of words also under categories"),
    ({}, {"features": ["age"]}, "visits.csv: column 'sex' is under categories, not under features"),
    ({"61.25": ""}, {}, "visits.csv: column 'weight', row 3: " + MISSING),
    ({"61.25": "heavy"}, {}, "visits.csv: column 'weight', row 3: 'heavy' is no number; list the "
     "columns to learn from under features, and those of words also under categories"),
    ({"west": ""}, {}, "visits.csv: column 'hospital', row 4: the value is missing"),
    ({"m,south": ",south"}, {}, "visits.csv: column 'sex', row 2: " + MISSING),
    ({"north,well": "north,"}, {}, "visits.csv: column 'outcome', row 3: the value is missing"),
    ({"55,f": "55,f,9"}, {}, "visits.csv cannot be read as a table: Error tokenizing data. "
     "C error: Expected 5 fields in line 5, saw 6"),
    ({TABLE: ""}, {}, "visits.csv cannot be read as a table: No columns to parse from file"),
    ({TABLE: "age,sex,hospital,outcome\n"}, {}, "visits.csv: there are no examples in it"),
    ({}, {"shape": [3]}, "visits.csv: 4 numbers in an example do not fit the shape [3] "
     "(data.dataset.shape)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "chosen", "message"), BAD_TABLES)
def test_an_invalid_csv_file_is_named(
    changes: dict[str, str], chosen: dict[str, Any], message: str, visits: Path
) -> None:
    text = TABLE
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    visits.write_text(text)
    assert refusal(dataset, **{**VISITS, **chosen}).replace(f"{visits.parent}/", "") == message


def test_a_csv_file_that_is_not_utf8_is_named(visits: Path) -> None:
    visits.write_bytes(TABLE.replace("south", "süd").encode("latin-1"))
    assert "cannot be read as a table: 'utf-8' codec can't decode" in refusal(dataset, **VISITS)


def test_a_test_table_that_does_not_fit_is_named(visits: Path, in_tmp_path: Path) -> None:
    other = in_tmp_path / "other.csv"
    other.write_text(TABLE.replace(",sex", ",gender"))
    assert refusal(dataset, **VISITS, test="other.csv") == (
        f"{other} has no column 'sex' (data.dataset.test); "
        "allowed: age, weight, gender, hospital, outcome"
    )
    other.write_text(TABLE.replace(",f,", ",x,"))
    assert refusal(dataset, **VISITS, test="other.csv") == (
        f"{other}: column 'sex', row 1: 'x' is not in the training table"
    )


def test_a_changed_csv_is_read_again(visits: Path) -> None:
    assert dataset(**VISITS).num_classes == 2
    visits.write_text(TABLE.replace("55,f,west,ill", "55,f,west,dead"))
    assert dataset(**VISITS).num_classes == 3


def test_parquet_is_read_like_csv(visits: Path, in_tmp_path: Path) -> None:
    import pandas as pd

    pd.read_csv(visits).to_parquet(in_tmp_path / "visits.parquet")
    chosen = {k: v for k, v in VISITS.items() if k != "csv"}
    one, other = dataset(**VISITS), dataset(parquet="visits.parquet", **chosen)
    np.testing.assert_array_equal(one.load(None).train.x, other.load(None).train.x)
    np.testing.assert_array_equal(one.load(None).train.y, other.load(None).train.y)
    assert list(one.natural) == list(other.natural)


def test_a_parquet_column_may_hold_lists() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    x = RNG.normal(size=(6, 4)).astype(np.float32)
    for kind in (pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 4)):
        column = pa.array([list(map(float, row)) for row in x], kind)
        table = pa.table({"embedding": column, "label": ["a", "b"] * 3})
        parquet.write_table(table, "a.parquet")
        read = dataset(parquet="a.parquet", label="label", shape=[2, 2]).load(None)
        np.testing.assert_array_equal(read.train.x, x.reshape(6, 2, 2))
        assert read.train.y.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0], [3.0]], "column 'x', row 2: 1 items; the row before has 2"),
        ([[1.0], None], "column 'x', row 2: the list is missing"),
        ([[1.0], [None]], "column 'x', row 2: a number is missing (NaN)"),
    ],
)
def test_an_invalid_column_of_lists_is_named(rows: Any, message: str, in_tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"x": rows, "label": [0, 1]}), "a.parquet")
    assert (
        refusal(dataset, parquet="a.parquet", label="label")
        == f"{in_tmp_path}/a.parquet: {message}"
    )


def test_a_file_that_is_no_parquet_is_named(in_tmp_path: Path) -> None:
    (in_tmp_path / "a.parquet").write_text(TABLE)
    message = refusal(dataset, parquet="a.parquet", label="outcome")
    assert message.startswith(f"{in_tmp_path}/a.parquet cannot be read as a Parquet file: ")


@pytest.mark.parametrize("kind", ["parquet", "huggingface"])
def test_without_pyarrow_the_extra_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "find_spec", lambda name: None)
    keys = {"label": "y"} if kind == "parquet" else {}
    with pytest.raises(DataUnavailable) as error:
        dataset(**{kind: "a", **keys})
    said = str(error.value)
    assert said == f"{kind} is read with pyarrow: pip install 'pytest-federated[arrow]'"


# where files are looked for, and how their content is tracked

SCENARIO = """\
schema: 1
name: own
data:
  dataset: {csv: data/visits.csv, label: outcome, client: hospital, features: [age, weight]}
clients: {split: natural}
model: {kind: mlp, hidden: [4]}
training: {rounds: 2}
"""


@pytest.fixture
def scenario_file(in_tmp_path: Path) -> Path:
    folder = in_tmp_path / "project" / "scenarios"
    (folder / "data").mkdir(parents=True)
    rows = TABLE.splitlines(keepends=True)
    (folder / "data" / "visits.csv").write_text(rows[0] + "".join(rows[1:]) * 6)
    file = folder / "own.yaml"
    file.write_text(SCENARIO)
    return file


def test_a_path_is_relative_to_the_scenario(
    scenario_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["describe", str(scenario_file)]) == 0
    assert "north" in capsys.readouterr().out


def test_a_path_is_relative_to_where_pytest_runs(
    scenario_file: Path, in_tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scenario_file.parent / "data").rename(in_tmp_path / "data")
    assert main(["describe", str(scenario_file)]) == 0
    (in_tmp_path / "data").rename(in_tmp_path / "dta")
    capsys.readouterr()
    assert main(["describe", str(scenario_file)]) == 1
    assert capsys.readouterr().err == (
        "data.dataset.csv: there is no file 'data/visits.csv'; looked in the scenario's folder and "
        "in the folder where pytest runs\n"
    )


def test_the_nearest_folder_counts_first(in_tmp_path: Path) -> None:
    for folder in (in_tmp_path, in_tmp_path / "near"):
        folder.mkdir(exist_ok=True)
        (folder / "a.csv").write_text(folder.name)
    with own_folders(in_tmp_path / "near", in_tmp_path):
        assert find("a.csv", "key") == in_tmp_path / "near" / "a.csv"
        assert find(str(in_tmp_path / "a.csv"), "key") == in_tmp_path / "a.csv"
    assert find("a.csv", "key") == in_tmp_path / "a.csv"


def test_a_path_by_a_parent_folder_is_named_without_the_detour(in_tmp_path: Path) -> None:
    (in_tmp_path / "near").mkdir()
    (in_tmp_path / "a.csv").touch()
    with own_folders(in_tmp_path / "near", in_tmp_path):
        assert str(find("../a.csv", "key")) == str(in_tmp_path / "a.csv")


def test_behind_a_link_a_parent_folder_is_that_of_the_target(in_tmp_path: Path) -> None:
    """There, `linked/..` is not the folder in which the link is."""
    (in_tmp_path / "far" / "inner").mkdir(parents=True)
    (in_tmp_path / "far" / "a.csv").write_text("far")
    (in_tmp_path / "a.csv").write_text("here")
    (in_tmp_path / "linked").symlink_to(in_tmp_path / "far" / "inner")
    with own_folders(in_tmp_path):
        assert find("linked/../a.csv", "key").read_text() == "far"


def test_a_path_that_is_wrong_is_named(in_tmp_path: Path) -> None:
    (in_tmp_path / "visits.csv").write_text("")
    assert refusal(find, "vists.csv", "key").endswith("runs; did you mean 'visits.csv'?")
    assert (
        refusal(find, str(in_tmp_path / "x"), "key")
        == f"key: there is no file {str(in_tmp_path / 'x')!r}"
    )
    assert refusal(find, ".", "key") == "key: '.' is a folder; a file is needed"
    assert refusal(find, "visits.csv", "key", folder=True) == (
        "key: 'visits.csv' is a file; a folder is needed"
    )


def test_the_key_of_a_training_depends_on_the_file(visits: Path) -> None:
    settings = {
        **{"name": "a", "model": "mlp", "training": {"rounds": 1}},
        **{"clients": {"split": "natural"}, "data": {"dataset": VISITS}},
    }
    scenario = Scenario.model_validate(settings)
    before = training_key(scenario, 0)
    visits.touch()
    assert training_key(scenario, 0) == before
    text = visits.read_text()
    visits.write_text(text.replace("55", "56"))
    changed = training_key(scenario, 0)
    assert changed != before
    visits.write_text(text)
    assert training_key(scenario, 0) == before
    visits.unlink()
    assert training_key(scenario, 0) not in (before, changed)
    assert ingredients(scenario, 0)["pandas"]  # its releases may read a file differently


def test_data_that_changes_during_a_training_changes_the_keys_of_the_next_seeds(
    visits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the seeds of a scenario share is looked at again after each training."""
    settings = {
        **{"name": "a", "model": "mlp", "training": {"rounds": 2}, "seeds": [0, 1, 2]},
        **{"clients": {"split": "natural"}, "data": {"dataset": VISITS}},
    }
    scenario = Scenario.model_validate(settings)
    trained: list[int] = []

    def train_seed(scenario: Scenario, seed: int, *_: Any) -> TrainingHistory:
        trained.append(seed)
        if trained == [0]:
            visits.write_text(TABLE.replace("55", "56"))
        return made_history([0.5, 0.6]).model_copy(update={"seed": seed})

    monkeypatch.setattr(pipeline, "train_seed", train_seed)
    store = Path("store")
    run(scenario, Options(store=Store(store)))
    keys = [training_key(scenario, seed) for seed in (1, 2)]
    assert {f"{key}.training" for key in keys} < {file.name for file in store.iterdir()}
    assert run(scenario, Options(store=Store(store))).reused == 2
    assert trained == [0, 1, 2, 0]


def test_the_key_of_a_training_depends_on_test_files_and_files_in_folders(
    leaves: dict[str, np.ndarray],
) -> None:
    for name in ("leaves", "test"):
        draw(f"{name}/ann/oak/1.png", COLORED[0])
    chosen = {"image_folder": "leaves", "by_client": True, "test": "test"}
    scenario = Scenario.model_validate({
        **{"name": "a", "model": "mlp", "training": {"rounds": 1}},
        **{"clients": {"split": "natural"}, "data": {"dataset": chosen}},
    })  # fmt: skip
    seen = [training_key(scenario, 0)]
    draw("test/ann/oak/1.png", COLORED[1])
    seen.append(training_key(scenario, 0))
    draw("leaves/bob/oak/2.png", COLORED[1])
    seen.append(training_key(scenario, 0))
    Path("leaves/bob/oak/2.png").rename("leaves/bob/oak/3.png")
    seen.append(training_key(scenario, 0))
    assert len(set(seen)) == 4
    assert fingerprint("no such file") == ""


def test_a_training_on_own_files_runs(
    worker: None, scenario_file: Path, leaves: dict[str, np.ndarray]
) -> None:
    """Trains on a table next to the scenario file, and on images decoded on the fly."""
    (case,) = load_file(scenario_file)
    with own_folders(scenario_file.parent):
        table = run(case.scenario).histories[0]
    chosen = {"image_folder": "leaves", "by_client": True}
    images = run(Scenario.model_validate({
        "name": "leaves", "data": {"dataset": chosen, "test_fraction": 0.4},
        "clients": {"split": "natural"}, "model": {"kind": "mlp", "hidden": [4]},
        "training": {"rounds": 2},
    })).histories[0]  # fmt: skip
    for history in (table, images):
        assert len(history.rounds) == 2
        assert history.rounds[-1].loss is not None and np.isfinite(history.rounds[-1].loss)
