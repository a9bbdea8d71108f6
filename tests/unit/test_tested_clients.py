"""Test sets that say whose examples they are: each client is tested on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest
from example_data import save
from example_results import of_one_training
from own_files import draw, made, refusal
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Loaded, datasets
from pytest_federated.data.federation import FederatedData
from pytest_federated.report.describe import describe
from pytest_federated.report.tables.settings import settings_rows
from pytest_federated.results.store import json_text, parse_result
from rich.console import Console
from written_files import write_users

pytestmark = pytest.mark.usefixtures("in_tmp_path")

WHOSE = np.array(["bob", "ann", "cid", "ann", "bob", "cid"])  # the training examples
TESTED = np.array(["eve", "ann", "bob", "ann"])  # cid has no test examples, eve no others
LEVELS, TEST_LEVELS = np.arange(6) * 10, 100 + np.arange(4) * 10  # tell examples apart
LABELS, TEST_LABELS = np.arange(6) % 2, np.arange(4) % 2
Chosen = dict[str, Any]


def parts(tested: Optional[np.ndarray]) -> dict[str, pd.DataFrame]:
    """Returns the rows for training and for testing; the latter may not say whose they are."""
    test = {"level": TEST_LEVELS, "label": TEST_LABELS}
    return {
        "train": pd.DataFrame({"level": LEVELS, "label": LABELS, "who": WHOSE}),
        "test": pd.DataFrame(test if tested is None else {**test, "who": tested}),
    }


def as_table(suffix: str, tested: Optional[np.ndarray]) -> Chosen:
    for name, table in parts(tested).items():
        file = f"{name}.{suffix}"
        table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    chosen = {"label": "label", "client": "who", "test": f"test.{suffix}"}
    return {"kind": suffix, suffix: f"train.{suffix}", **chosen}


def as_npz(tested: Optional[np.ndarray]) -> Chosen:
    save("train.npz", x=LEVELS[:, None], y=LABELS, who=WHOSE)
    whose = {} if tested is None else {"who": tested}
    save("test.npz", x=TEST_LEVELS[:, None], y=TEST_LABELS, **whose)
    return {"kind": "npz", "npz": "train.npz", "client": "who", "test": "test.npz"}


def as_huggingface(tested: Optional[np.ndarray]) -> Chosen:
    import datasets as hf

    train, test = (hf.Dataset.from_dict(rows.to_dict("list")) for rows in parts(tested).values())
    splits: Any = {"train": train, "rest": test}
    hf.DatasetDict(splits).save_to_disk("saved")
    chosen = {"features": "level", "client": "who", "test": "rest"}
    return {"kind": "huggingface", "huggingface": "saved", **chosen}


def as_leaf(tested: Optional[np.ndarray]) -> Chosen:
    for part, table in parts(tested).items():
        users = {
            str(who): {"x": own[["level"]].to_numpy().tolist(), "y": own["label"].tolist()}
            for who, own in table.groupby("who")
        }
        write_users(f"fed/{part}", users)
    return {"kind": "leaf", "leaf": "fed"}


def drawn(tested: Optional[np.ndarray], path: str) -> pd.DataFrame:
    """Draws each row as an image of its level; returns all rows, with the part of each."""
    rows = pd.concat([table.assign(part=part) for part, table in parts(tested).items()])
    for row in rows.to_dict("records"):
        draw(path.format(**row), np.full((2, 2), row["level"], np.uint8))
    return rows


def as_images(tested: Optional[np.ndarray]) -> Chosen:
    drawn(tested, "{part}/{who}/{label}/{level}.png")
    chosen = {"by_client": True, "channels": 1, "test": "test"}
    return {"kind": "image_folder", "image_folder": "train", **chosen}


def as_folders_of_clients(tested: Optional[np.ndarray]) -> Chosen:
    drawn(tested, "all/{who}/{part}/{label}/{level}.png")
    return {"kind": "image_folder", "image_folder": "all", "by_client": True, "channels": 1}


def as_manifest(tested: Optional[np.ndarray]) -> Chosen:
    rows = drawn(tested, "images/{level}.png")
    paths = [f"images/{level}.png" for level in rows["level"]]
    rows.assign(path=paths).drop(columns="level").to_csv("images.csv", index=False)
    chosen = {"client": "who", "split": "part", "channels": 1}
    return {"kind": "image_manifest", "image_manifest": "images.csv", **chosen}


READERS: dict[str, Callable[[Optional[np.ndarray]], Chosen]] = {
    "csv": lambda tested: as_table("csv", tested),
    "parquet": lambda tested: as_table("parquet", tested),
    "npz": as_npz,
    "huggingface": as_huggingface,
    "leaf": as_leaf,
    "image_folder": as_images,
    "client/train/label": as_folders_of_clients,
    "image_manifest": as_manifest,
}
_OF_IMAGES = ("image_folder", "client/train/label", "image_manifest")
_WITH_COLUMNS = ("csv", "parquet", "npz", "huggingface")


def levels_of(examples: Examples, reader: str = "") -> list[int]:
    x = np.asarray(examples.x[:], np.float64).reshape(len(examples), examples.x[:1].size or 1)[:, 0]
    return sorted(np.rint(x * (255 if reader in _OF_IMAGES else 1)).astype(int).tolist())


def described(data: FederatedData, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    describe("", data, Console())
    lines = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line]
    return {line[0]: line[1].strip() for line in lines}


@pytest.mark.parametrize("reader", READERS)
def test_each_client_is_tested_on_its_own_rows(
    reader: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made(READERS[reader](TESTED), split="natural")
    assert data.names == ("ann", "bob", "cid")
    assert [levels_of(data.test_examples(c), reader) for c in range(3)] == [[110, 130], [120], []]
    assert [levels_of(data.examples(c), reader) for c in range(3)] == [[10, 30], [0, 40], [20, 50]]
    assert levels_of(data.test, reader) == TEST_LEVELS.tolist()
    assert data.unseen_names == ("eve",)
    rows = described(data, capsys)
    assert rows["clients with test examples"] == "2 of 3"
    assert rows["unseen clients"] == "1"
    assert levels_of(data.unseen_examples(0), reader) == [100]


@pytest.mark.parametrize("reader", _WITH_COLUMNS)
def test_a_test_set_need_not_say_whose_it_is(
    reader: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made(READERS[reader](None), split="natural")
    assert (data.client_test, data.unseen_names, len(data.test)) == ((), (), 4)
    assert "clients with test examples" not in described(data, capsys)


@pytest.mark.parametrize("reader", _WITH_COLUMNS)
def test_a_test_row_of_no_client_is_refused(reader: str) -> None:
    tested = np.array(["ann", "", "bob", "ann"])
    if reader != "csv":
        tested = np.array(["ann", None, "bob", "ann"], object)
    if reader == "npz":
        tested = np.array([1.0, np.nan, 2, 1])
    assert "row 2: " in refusal(made, READERS[reader](tested), split="natural")


def test_clients_of_test_rows_alone_leave_the_others_untested() -> None:
    data = made(READERS["csv"](np.array(["eve", "eve", "joe", "eve"])), split="natural")
    assert (data.client_test, data.unseen_names) == ((), ("eve", "joe"))
    assert [levels_of(data.unseen_examples(c)) for c in range(2)] == [[100, 110, 130], [120]]


def test_the_drawn_clients_have_their_test_rows() -> None:
    chosen = READERS["npz"](TESTED)
    data = made(chosen, split="natural", count=2)
    own = {"ann": [110, 130], "bob": [120], "cid": []}
    tested = {n: levels_of(data.test_examples(c)) for c, n in enumerate(data.names)}
    assert len(tested) == 2 and tested == {name: own[name] for name in data.names}
    assert len(data.test) == 4


def test_merged_clients_have_the_test_rows_of_all_of_them() -> None:
    data = made(READERS["npz"](TESTED), split="group_natural", count=2)
    own = {"ann": [110, 130], "bob": [120], "cid": []}
    for client, positions in enumerate(data.clients):
        levels = {int(level) for level in data.train.x[positions, 0]}
        members = {str(WHOSE[level // 10]) for level in levels}
        expected = sorted(level for name in members for level in own[name])
        assert levels_of(data.test_examples(client)) == expected


@pytest.mark.parametrize(
    "split", ["iid", {"kind": "inner", "split": {"kind": "labels_per_client", "labels": 1}}]
)
def test_a_split_that_divides_clients_has_a_common_test_set(split: Any) -> None:
    data = made(READERS["npz"](TESTED), split=split, count=6)
    assert data.client_test == () and len(data.test) == 4


def test_test_rows_of_a_client_are_shifted_as_those_it_trains_on() -> None:
    changes = []
    for seed in range(4):
        keys = {"split": "natural", "shift": ["label_permutation"]}
        chosen = READERS["npz"](WHOSE[:4])
        shifted, plain = made(chosen, seed=seed, **keys), made(chosen, split="natural")
        for client in range(3):
            one, other = shifted.examples(client), plain.examples(client)
            flips = {bool(a != b) for a, b in zip(one.y, other.y)}
            tested, as_is = shifted.test_examples(client), plain.test_examples(client)
            assert {bool(a != b) for a, b in zip(tested.y, as_is.y)} == flips
            changes.append(flips)
    assert {True} in changes


HOLDING = {"holdout": "per_client", "test_fraction": 0.5}


def test_clients_that_hold_out_examples_are_tested_on_these() -> None:
    data = made(READERS["npz"](TESTED), HOLDING, split="natural")
    assert data.tested is None and [len(held) for held in data.client_test] == [1, 1, 1]
    assert max(levels_of(data.test_examples(0))) < 100 and len(data.test) == 4


@pytest.mark.parametrize("reader", ["npz", "client/train/label", None])
def test_a_report_says_whose_the_test_examples_are(reader: Optional[str]) -> None:
    """It may show only in the folders that there is a test set."""
    chosen = READERS[reader](TESTED) if reader else {"kind": "digits"}
    clients: dict[str, Any] = {"split": "natural"} if reader else {"count": 3}
    data = made(chosen, HOLDING, **clients)
    one = of_one_training(has_shared_test=data.has_shared_test)
    settings = {**one.settings, "data": {**one.settings["data"], **HOLDING}}
    read = parse_result(json_text(one.model_copy(update={"settings": settings})).encode(), "record")
    shown = dict(settings_rows(read))["test examples"]
    assert ("held out by the clients" in shown) is (reader is None)


@pytest.mark.parametrize(
    ("tested", "message"),
    [
        ([0, 1], "the data set mine: 3 test examples, and 2 say whose they are; each needs its "
         "client"),
        ([0, 1, 3], "the data set mine: a test example's client is none of the 3 clients"),
        ([0, -2, 1], "the data set mine: a test example's client is none of the 3 clients"),
    ],
)  # fmt: skip
def test_a_data_set_of_ones_own_is_checked(
    tested: list[int], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(n: int) -> Examples:
        return Examples(np.ones((n, 2), np.float32), np.arange(n, dtype=np.int32) % 2)

    monkeypatch.setattr(datasets, "_entries", datasets.entries())

    @datasets("mine", has_test_set=True)
    def mine(cache: Cache) -> Dataset:
        whose = np.array([0, 0, 1, 1])
        loaded = Loaded(some(4), whose, some(3), np.array(tested))
        return Dataset("mine", 2, ("a", "b"), lambda wanted: loaded, only_tested=("c",))

    assert refusal(made, {"kind": "mine"}, split="natural") == message
    tested[:] = [0, 2, -1]
    data = made({"kind": "mine"}, split="natural")
    assert [own.tolist() for own in data.client_test] == [[0], []]
    assert data.unseen_names == ("c",)


def test_a_record_and_its_report_say_how_many_clients_have_test_examples() -> None:
    result = of_one_training(tested_clients=2)
    assert parse_result(json_text(result).encode(), "record") == result
    assert ["clients with test examples", "2"] in settings_rows(result)
    assert "tested_clients" not in json_text(of_one_training())


# Folders of images by client, with train and test in each


def draw_all(names: Sequence[str], folder: str = "all") -> None:
    """Draws images that differ by the last character of their names."""
    for name in names:
        draw(f"{folder}/{name}.png", np.full((2, 2), int(name[-1]), np.uint8))


def test_a_client_need_not_have_both_folders() -> None:
    draw_all(["ann/train/a/1", "ann/test/b/2", "bob/train/b/3", "eve/test/a/4"])
    data = made(CLIENTS, split="natural")
    assert (data.names, data.unseen_names) == (("ann", "bob"), ("eve",))
    assert data.label_names == ("a", "b")
    assert [len(own) for own in (*data.client_test, *data.unseen)] == [1, 0, 1]


def test_without_test_folders_a_fraction_is_held_out() -> None:
    draw_all(["ann/train/a/1", "ann/train/b/2", "bob/train/b/3", "bob/train/a/4"])
    data = made(CLIENTS, {"test_fraction": 0.25}, split="iid", count=1)
    assert (len(data.train), len(data.test), data.tested) == (3, 1, None)


CLIENTS = {"kind": "image_folder", "image_folder": "all", "by_client": True, "channels": 1}
ANN = ["ann/train/a/1", "ann/test/b/2", "ann/train/b/3"]


@pytest.mark.parametrize(
    ("names", "of_data", "message"),
    [
        ([*ANN, "bob/a/4"], {}, "all/ann/test/b/2.png: images must be in all as "
         "client/label/image, or all as client/train/label/image or client/test/label/image"),
        ([*ANN, "bob/val/a/4"], {}, "all/ann/test/b/2.png: images must be in all as "
         "client/label/image, or all as client/train/label/image or client/test/label/image"),
        (["ann/test/a/1"], {}, "all: there are no images in it as client/train/label/image"),
        (ANN, {"test_fraction": 0.5}, "data.test_fraction: got 0.5; all has a test set of its own: "
         "leave it out"),
    ],
)  # fmt: skip
def test_folders_that_do_not_fit_are_named(
    names: list[str], of_data: Any, message: str, in_tmp_path: Path
) -> None:
    draw_all(names)
    said = refusal(made, CLIENTS, of_data, split="natural")
    assert said.replace(f"{in_tmp_path}/", "") == message


def test_a_second_test_set_is_refused(in_tmp_path: Path) -> None:
    draw_all(ANN)
    draw_all(ANN, "more")
    said = refusal(made, {**CLIENTS, "test": "more"}, split="natural")
    assert said.replace(f"{in_tmp_path}/", "") == (
        "data.dataset.test: got more; the clients' folders in all have images for testing: leave "
        "it out"
    )
    draw_all(["ann/a/5"], "plain")
    chosen = {**CLIENTS, "image_folder": "plain", "test": "more"}
    said = refusal(made, chosen, split="natural")
    assert said.replace(f"{in_tmp_path}/", "") == (
        "more/ann/test/b/2.png: images must be in more as client/label/image"
    )
