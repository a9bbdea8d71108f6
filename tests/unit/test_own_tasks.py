"""Tokens and tags in the user's files."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import dataset, save
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from paths import ROOT
from pytest_federated import run
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache, Examples, in_memory
from pytest_federated.data.datasets.files.label_encoding import Tags, Tokens, coding
from pytest_federated.data.datasets.validity import load_valid
from pytest_federated.data.federation import federate
from pytest_federated.data.schema import Data, Partition
from pytest_federated.scenario.schema import Scenario

RNG = np.random.default_rng(0)
TEXT = RNG.integers(0, 7, size=(12, 6))
NEXT = np.where(RNG.random((12, 6)) < 0.2, -5, RNG.integers(0, 5, size=(12, 6)))
HAS = RNG.integers(0, 2, size=(12, 3))
NUMBERS = RNG.normal(size=(12, 4)).astype(np.float32)

pytestmark = pytest.mark.usefixtures("in_tmp_path")


@given(
    arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(-3, 9))
)
def test_tokens_stand_for_themselves(given_: np.ndarray) -> None:
    if (given_ < 0).all():
        with pytest.raises(DataError, match="there are no tokens in it"):
            Tokens.of(given_, "here")
        return
    tokens = coding("tokens", given_, "here")
    encoded = tokens.encode(given_, "here")
    assert tokens.num_classes == given_.max() + 1
    np.testing.assert_array_equal(encoded, np.where(given_ < 0, -1, given_))
    assert encoded.dtype == np.int32
    assert coding("tokens", given_, "here", 40).num_classes == 40


@given(arrays(np.int8, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 1)))
def test_tags_stand_for_themselves(given_: np.ndarray) -> None:
    for column in (given_, given_.astype(bool), given_.astype(np.float64), given_.astype(object)):
        tags = coding("tags", column, "here")
        assert tags == Tags(given_.shape[1])
        encoded = tags.encode(column, "here")
        np.testing.assert_array_equal(encoded, given_)
        assert encoded.dtype == np.int8


def test_tokens_are_read_from_npz() -> None:
    save("a.npz", x=TEXT.astype(np.uint8), y=NEXT, whose=np.arange(12) % 3)
    save("b.npz", x=TEXT[:2], y=NEXT[:2])
    read = dataset(npz="a.npz", task="tokens", client="whose", test="b.npz")
    assert (read.task, read.num_classes, list(read.natural)) == ("tokens", 7, ["0", "1", "2"])
    loaded = read.load(None)
    assert loaded.train.x.dtype == np.int32  # bytes are tokens, too, not gray levels
    np.testing.assert_array_equal(loaded.train.x, TEXT)
    np.testing.assert_array_equal(loaded.train.y, np.maximum(NEXT, -1))
    assert loaded.test is not None
    np.testing.assert_array_equal(loaded.test.x, TEXT[:2])


def test_measures_with_a_label_at_each_position_are_read_from_npz() -> None:
    save("a.npz", x=NUMBERS, y=NEXT)
    read = dataset(npz="a.npz", task="tokens")
    assert (read.load(None).train.x.dtype, read.num_classes) == (np.float32, NEXT.max() + 1)


def test_tags_are_read_from_npz() -> None:
    save("a.npz", x=NUMBERS, y=HAS)
    save("b.npz", x=NUMBERS[:3], y=HAS[:3].astype(bool))
    read = dataset(npz="a.npz", task="tags", test="b.npz")
    assert (read.task, read.num_classes) == ("tags", 3)
    loaded = read.load(None)
    np.testing.assert_array_equal(loaded.train.y, HAS)
    assert loaded.test is not None
    np.testing.assert_array_equal(loaded.test.y, HAS[:3])


def test_a_binary_model_predicts_one_of_two_labels() -> None:
    import pandas as pd

    verdicts = np.where(HAS[:, 0] > 0, "well", "ill")
    frame = pd.DataFrame(
        {name: NUMBERS[:, i] for i, name in enumerate("abcd")} | {"verdict": verdicts}
    )
    frame.to_csv("a.csv", index=False)
    frame.to_parquet("a.parquet")
    save("a.npz", x=NUMBERS, y=HAS[:, 0].astype(bool))
    for keys in (
        {"csv": "a.csv", "label": "verdict"},
        {"parquet": "a.parquet", "label": "verdict"},
        {"npz": "a.npz"},
    ):
        read = dataset(**keys, task="binary")
        assert (read.task, read.num_classes) == ("binary", 2)
        train = read.load(None).train
        np.testing.assert_array_equal(train.y, HAS[:, 0])  # in the order of their names
        assert train.y.dtype == np.int32


TARGETS = RNG.normal(size=12) * 40 + 100


def test_numbers_to_predict_stay_numbers() -> None:
    import pandas as pd

    whole = np.arange(12) % 4  # would be four labels
    for targets in (
        TARGETS,
        whole,
        whole.astype(object),
        whole > 1,
        whole.astype(np.int8)[:, None],
    ):
        save("a.npz", x=NUMBERS, y=targets.astype(float) if targets.dtype == object else targets)
        frame = pd.DataFrame({name: NUMBERS[:, i] for i, name in enumerate("abcd")})
        frame["target"] = targets.ravel()
        frame.to_csv("a.csv", index=False)
        frame.to_parquet("a.parquet")
        for keys in (
            {"csv": "a.csv", "label": "target"},
            {"parquet": "a.parquet", "label": "target"},
            {"npz": "a.npz"},
        ):
            read = dataset(**keys, task="regression")
            assert (read.task, read.num_classes) == ("regression", 1)
            y = read.load(None).train.y
            assert y.dtype == np.float32
            np.testing.assert_allclose(y, targets.ravel().astype(float), rtol=1e-6)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.array([*"abcdefghijkl"]), "numbers are needed for the task regression, not text"),
        (np.where(np.arange(12) == 4, np.nan, TARGETS), "row 5: the value is missing"),
        (np.where(np.arange(12) == 4, np.inf, TARGETS), "row 5: inf is too large a number"),
        (np.where(np.arange(12) == 4, 1e39, TARGETS), "row 5: 1e+39 is too large a number"),
        (NUMBERS, "(4,) numbers for each example; the task regression predicts one"),
        (1.7e9 + np.arange(12), "float32 cannot tell these numbers apart; take their mean from "
         "them before they are saved"),
    ],
)  # fmt: skip
def test_what_is_no_number_to_predict(targets: np.ndarray, message: str, in_tmp_path: Path) -> None:
    save("a.npz", x=NUMBERS, y=targets)
    with pytest.raises(DataError) as error:
        dataset(npz="a.npz", task="regression")
    assert str(error.value) in (
        f"{in_tmp_path}/a.npz: array 'y': {message}",
        f"{in_tmp_path}/a.npz: array 'y', {message}",
    )


def test_numbers_are_dealt_by_splits_that_need_no_labels() -> None:
    settings = Data.model_validate({"dataset": "diabetes", "test_fraction": 0.25})
    partition = Partition.model_validate({"count": 5, "size": {"kind": "lognormal", "sigma": 1.0}})
    data = federate(settings, partition, 0, Cache(Path()))
    assert (data.task, len(data.test), data.label_counts.sum()) == ("regression", 110, 0)
    assert data.test.y.mean() == pytest.approx(data.train.y.mean(), abs=0.03)  # stratified
    for split in ({"kind": "dirichlet", "alpha": 1.0}, {"kind": "labels_per_client", "labels": 2}):
        partition = Partition.model_validate({"count": 5, "split": split})
        with pytest.raises(DataError) as error:
            federate(settings, partition, 0, Cache(Path()))
        assert str(error.value) == (
            f"the split {split['kind']} needs one label for each example; here an example has a "
            "number (task: regression); splits that do not look at labels: continuous, "
            "group_natural, iid, natural"
        )
    noise = [{"kind": "label_noise", "rate": 0.5}]
    partition = Partition.model_validate({"count": 5, "shift": noise})
    with pytest.raises(DataError, match=r"shift: label_noise changes labels; diabetes has numbers"):
        federate(settings, partition, 0, Cache(Path()))


def test_a_data_set_of_ones_own_gives_float32_numbers() -> None:
    for y in (TARGETS, np.arange(12), TARGETS.astype(np.float32)[:, None]):
        wrong = in_memory("mine", Examples(NUMBERS, y), 1, task="regression")
        with pytest.raises(DataError, match=r"with the task regression they are float32, \(n,\)"):
            load_valid(wrong, None)
    y = TARGETS.astype(np.float32)
    assert load_valid(in_memory("mine", Examples(NUMBERS, y), 1, task="regression"), None)
    y[3] = np.nan
    with pytest.raises(DataError, match="row 4: a number is missing"):
        load_valid(in_memory("mine", Examples(NUMBERS, y), 1, task="regression"), None)


@pytest.mark.parametrize("labels", [1, 3])
def test_a_binary_task_has_two_labels(labels: int, in_tmp_path: Path) -> None:
    save("a.npz", x=NUMBERS, y=np.arange(12) % labels)
    with pytest.raises(DataError) as error:
        dataset(npz="a.npz", task="binary")
    assert str(error.value) == (
        f"{in_tmp_path}/a.npz: array 'y': {labels} labels; data.dataset.task: binary is for two"
    )


@pytest.mark.parametrize(("name", "has"), [("wine", "3 labels"), ("digits", "10 labels")])
def test_any_data_set_with_two_labels_can_be_binary(name: str, has: str) -> None:
    partition = Partition.model_validate({"count": 3})
    settings = Data.model_validate({"dataset": {"kind": "breast_cancer", "task": "binary"}})
    data = federate(settings, partition, 0, Cache(Path()))
    assert (data.task, data.num_classes, data.label_counts.shape) == ("binary", 2, (3, 2))
    plain = Data.model_validate({"dataset": "breast_cancer"})
    assert plain.model_dump()["dataset"] == {"kind": "breast_cancer"}
    settings = Data.model_validate({"dataset": {"kind": name, "task": "binary"}})
    with pytest.raises(DataError) as error:
        federate(settings, partition, 0, Cache(Path()))
    assert str(error.value) == (
        f"data.dataset.task: got binary, which is for two labels; {name} has {has}"
    )


def test_tags_are_read_from_columns_of_tables(in_tmp_path: Path) -> None:
    import pandas as pd

    columns = {f"n{i}": NUMBERS[:, i] for i in range(4)}
    columns |= {name: HAS[:, i] for i, name in enumerate(("wet", "cold", "dark"))}
    frame = pd.DataFrame(columns)
    frame.to_csv("a.csv", index=False)
    frame.to_parquet("a.parquet")
    for kind in ("csv", "parquet"):
        read = dataset(**{kind: f"a.{kind}"}, label=["wet", "cold", "dark"], task="tags")
        train = read.load(None).train
        np.testing.assert_array_equal(train.y, HAS)
        np.testing.assert_allclose(train.x, NUMBERS, rtol=1e-6)
    frame["cold"] = frame["cold"].astype(object)
    frame.loc[7, "cold"] = None
    frame.to_csv("a.csv", index=False)
    with pytest.raises(DataError) as error:
        dataset(csv="a.csv", label=["wet", "cold", "dark"], task="tags")
    assert str(error.value) == (
        f"{in_tmp_path}/a.csv: columns 'wet', 'cold', 'dark', row 8: the value is missing"
    )


def test_tokens_are_read_from_lists_in_parquet() -> None:
    import pandas as pd

    pd.DataFrame({"said": TEXT.tolist(), "next": NEXT.tolist()}).to_parquet("a.parquet")
    read = dataset(parquet="a.parquet", label="next", task="tokens")
    train = read.load(None).train
    assert (read.task, read.num_classes, train.x.dtype) == ("tokens", 7, np.int32)
    np.testing.assert_array_equal(train.x, TEXT)
    np.testing.assert_array_equal(train.y, np.maximum(NEXT, -1))


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"y": NEXT}, "label", "a.npz: array 'y': 6 values for each example; say data.dataset.task: "
     "tokens for a label at each position, or task: tags for 0 or 1 each"),
    ({"y": np.arange(12)}, "tokens", "a.npz: array 'y': tokens are rows of whole numbers, "
     "(examples, tokens), not of shape (12,)"),
    ({"y": np.arange(12)}, "tags", "a.npz: array 'y': tags are rows of whole numbers, "
     "(examples, tags), not of shape (12,)"),
    ({"y": NEXT + 0.5}, "tokens", "a.npz: array 'y', row 1: "),
    ({"y": NEXT.astype(str)}, "tokens", "a.npz: array 'y': tokens are whole numbers, not text"),
    ({"y": HAS + np.eye(12, 3, -6, int) * 3}, "tags", "a.npz: array 'y', row 7: tags are 0 or 1, "
     "not "),
    ({"x": np.where(np.eye(12, 6, -4), -2, TEXT), "y": NEXT}, "tokens", "a.npz: array 'x', row 5: "
     "tokens are numbered from 0 up, not -2"),
    ({"y": NEXT - 9}, "tokens", "a.npz: array 'y': there are no tokens in it, only negative "
     "numbers (padding)"),
]  # fmt: skip


@pytest.mark.parametrize(("named", "task", "message"), BAD)
def test_invalid_tokens_and_tags_are_named(
    named: Any, task: str, message: str, in_tmp_path: Path
) -> None:
    save("a.npz", **{"x": TEXT, **named})
    with pytest.raises(DataError) as error:
        dataset(npz="a.npz", task=task)
    assert str(error.value).startswith(f"{in_tmp_path}/{message}")


@pytest.mark.parametrize(
    ("x", "y", "task", "message"),
    [
        (TEXT, NEXT * 0 + 7, "tokens", "b.npz: array 'y', row 1: the token 7 is none of the train"),
        (TEXT + 1, NEXT, "tokens", "b.npz: the features have the token 7; those of "),
        (TEXT, HAS[:, :2], "tags", "b.npz: array 'y': 2 tags; the training examples have 3"),
    ],
)
def test_a_test_set_that_does_not_fit_is_named(x: Any, y: Any, task: str, message: str) -> None:
    save("a.npz", x=TEXT, y=NEXT if task == "tokens" else HAS)
    save("b.npz", x=x, y=y)
    with pytest.raises(DataError) as error:
        dataset(npz="a.npz", task=task, test="b.npz")
    assert message in str(error.value)


def test_a_training_on_own_tokens_and_tags_learns(worker: None) -> None:
    save("text.npz", x=np.tile(TEXT, (3, 1)), y=np.tile(TEXT, (3, 1)))  # the targets are the inputs
    save("tags.npz", x=np.tile(HAS, (3, 1)).astype(float), y=np.tile(HAS, (3, 1)))
    for file, task, model in (
        ("text.npz", "tokens", {"kind": "lstm", "embedding": 4, "units": [8]}),
        ("tags.npz", "tags", {"kind": "linear"}),
    ):
        losses = [r.loss for r in run(Scenario.model_validate({
            "name": "own", "data": {"dataset": {"npz": file, "task": task}},
            "clients": {"count": 2}, "model": model,
            "training": {"rounds": 2, "local_epochs": 4, "client_optimizer": {
                "kind": "sgd", "learning_rate": 0.5}},
        })).histories[0].rounds]  # fmt: skip
        assert losses[0] is not None and losses[-1] is not None and losses[-1] < losses[0]


def test_the_shipped_table_is_what_its_script_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ROOT / "scenarios" / "own-data" / "wine.csv"
    script = ROOT / "docs" / "make_wine_table.py"
    monkeypatch.setattr("sys.argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / "wine.csv").read_text() == shipped.read_text()


def test_tokens_and_tags_are_read_from_hugging_face_lists() -> None:
    import datasets as hf

    columns = {"said": TEXT.tolist(), "next": NEXT.tolist(), "has": HAS.tolist()}
    hf.Dataset.from_dict(columns).save_to_disk("saved")
    read = dataset(huggingface="saved", features="said", label="next", task="tokens")
    train = read.load(None).train
    assert (read.num_classes, train.x.dtype) == (7, np.int32)
    np.testing.assert_array_equal(train.y, np.maximum(NEXT, -1))
    tags = dataset(huggingface="saved", features="said", label="has", task="tags").load(None)
    np.testing.assert_array_equal(tags.train.y, HAS)
    assert tags.train.x.dtype == np.float32


CLIENTS = """\
import numpy as np
import tensorflow_federated as tff

def load(seed=0):
    rng = np.random.default_rng(seed)
    def examples(n):
        return {"x": rng.integers(7, size=(n, 6)), "y": rng.integers(-1, 5, size=(n, 6))}
    return tff.simulation.datasets.TestClientData({"ann": examples(6), "bob": examples(4)})
"""


def test_tokens_are_read_from_tff_clients(
    tff: Any, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_tmp_path / "fed_token_clients.py").write_text(CLIENTS)
    monkeypatch.syspath_prepend(in_tmp_path)
    read = dataset(kind="tff", tff="fed_token_clients:load", task="tokens")
    train = read.load(["bob"]).train
    rng = np.random.default_rng(0)
    x, y = [(rng.integers(7, size=(n, 6)), rng.integers(-1, 5, size=(n, 6))) for n in (6, 4)][1]
    np.testing.assert_array_equal(train.x, x)
    np.testing.assert_array_equal(train.y, y)
    assert (train.x.dtype, read.task, list(read.natural)) == (np.int32, "tokens", ["ann", "bob"])
