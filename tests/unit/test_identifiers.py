"""Columns that only number the rows: refused until the scenario says what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_data import dataset, save
from odd_data import (
    ARRAYS,
    LABELS,
    NOISE,
    ORDER,
    RNG,
    N,
    as_csv,
    as_huggingface,
    as_keras,
    as_npz,
    as_parquet,
    features,
    noise,
    refusal,
)

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def saved_twice() -> dict[str, Any]:
    noise().to_csv("once.csv")
    return as_csv(pd.read_csv("once.csv"))


def saved_thrice() -> dict[str, Any]:
    noise().to_csv("once.csv")
    pd.read_csv("once.csv").to_csv("twice.csv")
    return as_csv(pd.read_csv("twice.csv"))


def dated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(pd.date_range("2020-01-01", periods=N))


def without_pandas_metadata() -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(noise().sample(frac=1, random_state=0))
    parquet.write_table(table.replace_schema_metadata(None), "t.parquet")
    return {"parquet": "t.parquet", "label": "y"}


GAPS = np.cumsum(1 + np.arange(N) % 3)
PART = np.sort(RNG.permutation(N * 5 // 4)[:N])  # as when four of five rows are for training
WORDS = [f"w{i:02}" for i in range(N)]
IDENTIFIERS: dict[str, tuple[Callable[[], dict[str, Any]], list[str], str]] = {
    "to_csv": (lambda: as_csv(noise()), ["Unnamed: 0"], "has no name"),
    "text": (lambda: as_csv(noise().set_axis(WORDS)), ["Unnamed: 0"], "has no name"),
    "dates": (lambda: as_csv(dated(noise())), ["Unnamed: 0"], "has no name"),
    "shuffled": (lambda: as_csv(noise().iloc[ORDER]), ["Unnamed: 0"], "has no name"),
    "repeated": (lambda: as_csv(noise().set_axis(LABELS)), ["Unnamed: 0"], "has no name"),
    "two levels": (
        lambda: as_csv(noise().set_axis(pd.MultiIndex.from_arrays([LABELS, np.arange(N)]))),
        ["Unnamed: 0", "Unnamed: 1"],
        "has no name",
    ),
    "saved twice": (saved_twice, ["Unnamed: 0.1", "Unnamed: 0"], "has no name"),
    "saved thrice": (saved_thrice, ["Unnamed: 0.2", "Unnamed: 0.1", "Unnamed: 0"], "has no name"),
    "blank name": (lambda: as_csv(noise(), index_label=" "), ["Unnamed: 0"], "has no name"),
    "own name": (lambda: as_csv(noise(), index_label="nr"), ["nr"], "numbers the rows"),
    "from 1": (
        lambda: as_csv(noise(row=np.arange(N) + 1), index=False),
        ["row"],
        "numbers the rows",
    ),
    "permuted": (lambda: as_csv(noise(q=ORDER), index=False), ["q"], "numbers the rows"),
    "a part of a table": (
        lambda: as_csv(noise(q=PART), index=False),
        ["q"],
        "numbers the rows",
    ),
    "renamed": (
        lambda: as_csv(noise().reset_index(names="unnamed_0"), index=False),
        ["unnamed_0"],
        "has no name",
    ),
    "R": (lambda: as_csv(noise(), index_label="...1"), ["...1"], "has no name"),
    "floats": (lambda: as_csv(noise(q=ORDER + 7.0), index=False), ["q"], "numbers the rows"),
    "PassengerId": (
        lambda: as_csv(noise(PassengerId=GAPS), index=False),
        ["PassengerId"],
        "has a different number in every row",
    ),
    "patient_id": (
        lambda: as_csv(noise(patient_id=GAPS[ORDER]), index=False),
        ["patient_id"],
        "has a different number in every row",
    ),
    "large": (
        lambda: as_csv(noise(q=10**18 + ORDER), index=False),
        ["q"],
        "numbers the rows",
    ),
    "reset_index": (
        lambda: as_csv(noise().set_axis(GAPS // 3).reset_index(), index=False),
        ["index"],
        "has the name that pandas gives to an index",
    ),
    "category": (
        lambda: {**as_csv(noise(word=WORDS), index=False), "categories": ["word"]},
        ["word"],
        "has a different value in every row",
    ),
    "category of numbers": (
        lambda: {**as_csv(noise(code=GAPS), index=False), "categories": ["code"]},
        ["code"],
        "has a different number in every row",
    ),
    "parquet": (
        lambda: as_parquet(noise().iloc[ORDER]),
        ["__index_level_0__"],
        "has no name",
    ),
    "parquet's own name": (
        lambda: as_parquet(noise().set_index(pd.Index(LABELS, name="ward"))),
        ["ward"],
        "is an index that pandas wrote",
    ),
    "parquet without pandas": (without_pandas_metadata, ["__index_level_0__"], "has no name"),
    "parquet's count": (lambda: as_parquet(noise(q=ORDER)), ["q"], "numbers the rows"),
    "parquet's text": (
        lambda: as_parquet(noise(q=[str(i) for i in ORDER])),
        ["q"],
        "numbers the rows",
    ),
    "both": (
        lambda: as_csv(noise(Id=GAPS)),
        ["Unnamed: 0", "Id"],
        "has no name",
    ),
}


@pytest.mark.parametrize("kind", IDENTIFIERS)
def test_an_identifier_is_refused_until_the_scenario_says_what_it_is(kind: str) -> None:
    write, names, why = IDENTIFIERS[kind]
    chosen = write()
    message = refusal(lambda: features(**chosen))
    assert f"column {names[0]!r} {why}" in message
    written = message.partition("data.dataset.exclude: ")[2].partition("]")[0] + "]"
    assert sorted(json.loads(written)) == sorted(names)
    excluding = {**chosen, "exclude": json.loads(written)}
    excluding.pop("categories", None)
    left = features(**excluding)
    assert left.shape == (N, 2)
    assert {*left.ravel()} == {*NOISE.ravel()}
    number_columns = [n for n in names if kind not in ("text", "dates")]
    listed = features(**chosen, features=["a", "b", *number_columns])
    assert listed.shape[1] > 2 or not number_columns


FEATURES: dict[str, Any] = {
    "floats": RNG.normal(size=N),
    "refraction index": 1 + RNG.random(N),
    "index": 1 + RNG.random(N),
    "id": ORDER % 2,
    "seconds": 1000 + 10 * np.arange(N),
    "area": GAPS,
    "acid": GAPS,
    "paid": GAPS,
    "flag": ORDER % 2 == 1,
    "grid": GAPS,
}


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_columns_that_are_no_identifiers_are_features(write: Any, name: str) -> None:
    chosen = write(noise(**{name: FEATURES[name]}), index=False)
    x = features(**chosen)
    np.testing.assert_allclose(x[:, 2], np.asarray(FEATURES[name], np.float32))


AGAIN: dict[str, Any] = {
    "itself": LABELS,
    "its words": np.array(["well", "ill"])[LABELS],
    "turned around": 1 - LABELS,
    "as a flag": LABELS == 1,
    "as floats": LABELS * 2.5,
}


@pytest.mark.parametrize("name", AGAIN)
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_the_label_under_another_name_is_refused_unless_it_is_listed(write: Any, name: str) -> None:
    chosen = write(noise(again=AGAIN[name]), index=False)
    message = refusal(lambda: features(**chosen))
    assert "column 'again' says the same as the label 'y' in every row" in message
    assert 'data.dataset.exclude: ["again"]' in message
    assert features(**chosen, exclude=["again"]).shape == (N, 2)
    categories = ["again"] if name == "its words" else []
    listed = features(**chosen, features=["a", "b", "again"], categories=categories)
    assert listed.shape[1] > 2


def test_a_number_to_predict_is_refused_among_the_features() -> None:
    y = RNG.normal(size=N)
    chosen = as_csv(noise(again=y, y=y), index=False)
    assert "'again' says the same as the label" in refusal(
        lambda: features(**chosen, task="regression")
    )
    chosen = as_csv(noise(twice=2 * y, y=y), index=False)
    assert features(**chosen, task="regression").shape == (N, 3)


@pytest.mark.parametrize("rows", [slice(19), slice(None, None, 29)])
def test_few_rows_say_the_same_by_chance(rows: slice) -> None:
    chosen = as_csv(noise(again=LABELS).iloc[rows], index=False)
    assert features(**chosen).shape[1] == 3


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "linnerud"])
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_published_tables_have_no_identifiers(write: Any, name: str) -> None:
    import sklearn.datasets

    published: Any = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    x = features(**write(published.data.assign(y=np.arange(len(published.data)) % 2), index=False))
    np.testing.assert_allclose(x, published.data.to_numpy(), rtol=1e-6)
    save("t.npz", x=published.data.to_numpy(), y=np.arange(len(x)) % 2)
    np.testing.assert_array_equal(features(npz="t.npz"), x)


def test_two_rows_are_no_numbering() -> None:
    Path("t.csv").write_text("a,y\n0,0\n1,1\n")
    assert features(csv="t.csv", label="y").tolist() == [[0], [1]]


@pytest.mark.parametrize("with_index", [False, True])
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_the_test_table_needs_no_index_and_may_have_one(write: Any, with_index: bool) -> None:
    chosen = write(noise().iloc[ORDER], index=True)
    name = "Unnamed: 0" if write is as_csv else "__index_level_0__"
    other = write(noise().iloc[ORDER[:9]], name="other", index=with_index)
    file = next(iter(other.values()))
    loaded = dataset(**chosen, exclude=[name], test=file).load(None)
    assert loaded.test is not None
    np.testing.assert_allclose(loaded.test.x, NOISE[ORDER[:9]], rtol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"exclude": ["c"]}, "t.csv has no column 'c' (data.dataset.exclude); allowed: a, b, y"),
        (
            {"exclude": ["a"], "features": ["a", "b"]},
            "t.csv: column 'a' is both under features and exclude",
        ),
        ({"exclude": ["a", "b"]}, "t.csv has no columns to learn from"),
        (
            {"exclude": ["a"], "categories": ["a"]},
            "t.csv: column 'a' is under categories, not under features",
        ),
    ],
)
def test_an_exclusion_that_contradicts_other_keys_is_refused(
    keys: dict[str, Any], message: str, in_tmp_path: Path
) -> None:
    chosen = as_csv(noise(), index=False)
    assert refusal(lambda: features(**chosen, **keys), in_tmp_path) == message


@pytest.mark.parametrize("write", ARRAYS)
@pytest.mark.parametrize("count", [np.arange(N), ORDER + 1, PART])
def test_a_column_of_an_array_that_numbers_the_rows_is_refused(
    write: Any, count: np.ndarray
) -> None:
    x = np.column_stack([NOISE[:, 0], count, NOISE[:, 1]]).astype(np.float64)
    message = refusal(lambda: features(**write(x)))
    assert "column 1 (from 0) numbers the rows" in message
    assert "numpy.delete(x, 1, axis=1)" in message
    np.testing.assert_array_equal(features(**write(np.delete(x, 1, axis=1))), NOISE)


@pytest.mark.parametrize("write", [as_npz, as_keras, as_huggingface])
@pytest.mark.parametrize(
    "x",
    [NOISE, np.arange(N, dtype=np.float64)[:, np.newaxis], np.arange(N * 2.0).reshape(N, 2)],
    ids=["floats", "one column", "steps of 2"],
)
def test_other_arrays_are_learned_from(write: Any, x: np.ndarray) -> None:
    np.testing.assert_array_equal(features(**write(x)), x.astype(np.float32))


def test_tokens_may_number_the_rows() -> None:
    tokens = np.column_stack([ORDER, LABELS])
    save("t.npz", x=tokens, y=tokens)
    np.testing.assert_array_equal(features(npz="t.npz", task="tokens"), tokens)
