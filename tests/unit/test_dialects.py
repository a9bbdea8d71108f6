"""Text tables in other dialects, and missing values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import dataset
from own_files import refusal
from pytest_federated.data.datasets.files.encoder import Encoder
from pytest_federated.data.datasets.files.meaning import Meaning
from pytest_federated.data.datasets.files.table_columns import TableColumns

pytestmark = pytest.mark.usefixtures("in_tmp_path")

PLAIN = "a,y\n1.5,0\n3,1\n5,1\n"


def read(text: str, written_in: str = "utf-8", **keys: Any) -> Any:
    Path("t.csv").write_bytes(text.encode(written_in))
    return dataset(csv="t.csv", label="y", **keys)


@pytest.mark.parametrize(
    "text, written_in, keys",
    [
        (PLAIN, "utf-8-sig", {}),
        (PLAIN.replace("a,", "ä,"), "latin-1", {"encoding": "latin-1"}),
        (PLAIN.replace("a,", "ä,"), "utf-16", {"encoding": "utf-16"}),
        ("a;y\n1,5;0\n3;1\n5;1\n", "utf-8", {"separator": ";", "decimal": ","}),
        ("a\ty\n1.5\t0\n3\t1\n5\t1\n", "utf-8", {"separator": "\t"}),
        ("  a   y\n1.5     0\n3  1\n   5 1\n", "utf-8", {"separator": "spaces"}),
        ("a, y\n1.5, 0\n3, 1\n5, 1\n", "utf-8", {}),
        ('# of 3 "cases\na,y # both\n1.5,0\n\n3,1 # good\n5,1\n', "utf-8", {"comment": "#"}),
        ("1.5,0\n3,1\n5,1\n", "utf-8", {"columns": ["a", "y"]}),
        ("1.5 0\n3  1\n5  1\n", "utf-8", {"columns": ["a", "y"], "separator": "spaces"}),
    ],
)
def test_a_table_is_the_same_in_every_dialect(text: str, written_in: str, keys: Any) -> None:
    train = read(text, written_in, **keys).load(None).train
    assert train.x.tolist() == [[1.5], [3], [5]]
    assert train.y.tolist() == [0, 1, 1]


def test_a_comment_sign_within_quotes_is_part_of_the_value() -> None:
    read_table = read('a,y\n"x#1",0\n"x#2",1\n"x#1",1 # so\n', comment="#", categories=["a"])
    assert read_table.load(None).train.x.tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize(
    "text, written_in, keys, message",
    [
        (PLAIN.replace("a,", "ä,"), "latin-1", {}, "data.dataset.encoding names another encoding"),
        (PLAIN, "utf-8", {"encoding": "utf-99"}, "data.dataset.encoding: unknown encoding: utf-99"),
        (PLAIN.replace(",", ";"), "utf-8", {}, "data.dataset.separator is what separates columns"),
        ("1.5,0\n3,1\n", "utf-8", {}, "data.dataset.columns names the columns of a file without"),
        (
            "1.5,0\n3,1\n",
            "utf-8",
            {"columns": ["y"]},
            "line 1: 2 values, and data.dataset.columns has 1 names",
        ),
        ("1.5,0\n3,1\n", "utf-8", {"columns": ["y", "y"]}, "2 columns are called 'y'; rename them"),
        (
            "a,b,y\n1,2,0\n3,1\n",
            "utf-8",
            {"comment": "#"},
            "line 3: 2 values, and the header has 3",
        ),
        ("a;y\n1,5;0\n", "utf-8", {"separator": ";"}, "'1,5' is no number"),
    ],
)
def test_a_table_in_another_dialect_says_which_key_reads_it(
    text: str, written_in: str, keys: Any, message: str
) -> None:
    assert message in refusal(read, text, written_in, **keys)


# Missing values

GAPS = "size,age,kind,y\n1,,u,0\n3,2,,1\n5,2,u,0\n6,4,w,1\n,4,w,0\n"


def features(remedy: str, **more: Any) -> Any:
    train = read(GAPS, missing=remedy, categories=["kind"], **more).load(None).train
    return train.x.tolist(), train.y.tolist()


def test_rows_without_a_value_are_left_out() -> None:
    assert features("drop") == ([[5, 2, 1, 0], [6, 4, 0, 1]], [0, 1])


@pytest.mark.parametrize(
    "remedy, age, size", [("median", 3, 4), ("most_frequent", 2, 1), ("indicator", 3, 4)]
)
def test_gaps_are_filled(remedy: str, age: float, size: float) -> None:
    x, y = features(remedy)
    marks = [[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]]
    filled = [[1, age, 1, 0], [3, 2, 1, 0], [5, 2, 1, 0], [6, 4, 0, 1], [size, 4, 0, 1]]
    if remedy == "indicator":
        filled = [row + marked for row, marked in zip(filled, marks)]
    assert (x, y) == (filled, [0, 1, 0, 1, 0])


def test_the_test_set_is_filled_with_values_of_the_training_set() -> None:
    Path("later.csv").write_text("size,age,kind,y\n,,,1\n2,2,w,0\n")
    keys: Any = {"missing": "indicator", "categories": ["kind"], "test": "later.csv"}
    loaded = read(GAPS, **keys).load(None)
    assert loaded.test.x.tolist() == [[4, 3, 1, 0, 1, 1, 1], [2, 2, 0, 1, 0, 0, 0]]
    dropped = read(GAPS, **{**keys, "missing": "drop"}).load(None)
    assert len(dropped.test) == 1


def test_standardizing_comes_after_filling() -> None:
    x, _ = features("median", standardize=True)
    age = np.array([3, 2, 2, 4, 4])
    np.testing.assert_allclose(np.array(x)[:, 1], (age - 3) / age.std(), rtol=1e-6)


@pytest.mark.parametrize("remedy", ["median", "indicator"])
def test_gaps_in_parquet_files_are_filled_too(remedy: str) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = {"size": [1.0, None, 5.0], "count": [None, 2, 4], "y": [0, 1, 1]}
    pq.write_table(pa.table(table), "t.parquet")
    train = dataset(parquet="t.parquet", label="y", missing=remedy).load(None).train
    assert train.x[:, :2].tolist() == [[1, 3], [3, 2], [5, 4]]
    assert train.x.shape[1] == (4 if remedy == "indicator" else 2)


def table(values: str, gaps: set[int]) -> str:
    rows = [
        f"{'' if n in gaps else value},{n / 8},{n % 2}" for n, value in enumerate(values.split())
    ]
    return "\n".join(["v,w,y", *rows, ""])


@pytest.mark.parametrize(
    "remedy",
    ["drop", "median", "indicator", pytest.param("most_frequent", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "gaps, test_gaps", [({1, 4}, set[int]()), (set[int](), {2}), ({1, 4}, {2})]
)
@pytest.mark.parametrize(
    "values, categories",
    [
        ("2 0 0 0 1 2 1 2", []),
        ("2 0 0 0 1 2 1 2", ["v"]),
        ("2 0.5 0.5 0.5 1 2 1 2", ["v"]),
        ("True False False True True False True False", []),
        ("True False False True True False True False", ["v"]),
        ("u v v v w u w u", ["v"]),
    ],
)
def test_gaps_change_no_other_row(
    values: str, categories: list[str], gaps: set[int], test_gaps: set[int], remedy: str
) -> None:
    """Whichever of the two tables has some: a column with a gap is read as another type."""
    keys: Any = {"missing": remedy, "categories": categories, "test": "later.csv"}
    later = "0.5 1 2 0.5" if "0.5" in values else " ".join(values.split()[:4])
    Path("later.csv").write_text(table(later, test_gaps))
    with_gaps = read(table(values, gaps), **keys).load(None)
    Path("later.csv").write_text(table(later, set()))
    without = read(table(values, set()), **keys).load(None)
    for found, known, missed in (
        (with_gaps.train, without.train, gaps),
        (with_gaps.test, without.test, test_gaps),
    ):
        kept = [n for n in range(len(known)) if n not in missed]
        rows = range(len(kept)) if remedy == "drop" else kept
        width = known.x.shape[1]  # indicators follow
        assert found.x[rows, :width].tolist() == known.x[kept].tolist()
        assert len(found) == len(kept) if remedy == "drop" else len(found) == len(known)


def test_codes_remain_text_in_a_test_set_of_numbers_only() -> None:
    Path("later.csv").write_text("code,w,y\n007,1,1\n250.10,2,01\n")
    text = "code,w,y\n007,3,01\nV27,4,1\n250.10,5,x\n"
    keys: Any = {"features": ["code", "w"], "categories": ["code"], "test": "later.csv"}
    codes = read(text, **keys)
    test = codes.load(None).test
    assert test.x.tolist() == [[1, 0, 0, 1], [0, 1, 0, 2]]
    assert [codes.label_names[label] for label in test.y] == ["1", "01"]


@pytest.mark.parametrize("columns", [["x"], ["1", "2"]])
def test_a_parquet_file_has_no_separator_and_no_first_line(columns: list[str]) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: [0, 1] for name in columns}), "t.parquet")
    said = refusal(dataset, parquet="t.parquet", label="y")
    assert said.endswith(f"has no column 'y' (data.dataset.label); allowed: {', '.join(columns)}")


@pytest.mark.parametrize(
    "text, keys, message",
    [
        ("a,y\n1,0\n,1\n", {}, "column 'a', row 2: the value is missing; data.dataset.missing can"),
        ("a,y\n1,0\n2,\n", {"missing": "median"}, "column 'y', row 2: the value is missing"),
        ("a,b,y\n,1,0\n,3,1\n", {"missing": "median"}, "column 'a': every value is missing"),
        ("a,y\nx,0\n,1\n", {"missing": "median"}, "column 'a', row 1: 'x' is no number"),
        ("a,y\nx,0\n,1\n", {"missing": "drop", "label": "z"}, "has no column 'z'"),
    ],
)
def test_the_message_names_what_cannot_be_filled(text: str, keys: Any, message: str) -> None:
    Path("t.csv").write_text(text)
    assert message in refusal(dataset, **{"csv": "t.csv", "label": "y", **keys})


def test_na_values_may_be_words_of_the_table() -> None:
    """Here NA means Namibia."""
    text = "land,a,y\nNA,1.5,0\nDE,?,1\nNA,2.5,1\n"
    assert "row 1: the value is missing" in refusal(read, text, categories=["land"])
    keys: Any = {"categories": ["land"], "na_values": ["?"], "missing": "median"}
    assert read(text, **keys).load(None).train.x.tolist() == [[0, 1, 1.5], [1, 0, 2], [0, 1, 2.5]]


def test_a_category_with_very_many_values_is_refused_with_their_number() -> None:
    words = np.array([f"w{n}" for n in range(20_000)])
    table = TableColumns({"word": words, "y": np.zeros(20_000, int)})
    meaning = Meaning(("y",), "label", None, ["word"], None, ("word",), False, None)
    assert "20000 different values would become as many columns of 20000 rows" in refusal(
        Encoder, meaning, table, "here"
    )
