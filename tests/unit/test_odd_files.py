"""Odd files of the user: read correctly, or refused in one line that says what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_data import NO_CACHE, dataset, save
from odd_data import (
    ARRAYS,
    BYTES,
    LABELS,
    NOISE,
    N,
    as_csv,
    as_npz,
    as_parquet,
    draw,
    features,
    noise,
    picture,
    refusal,
)
from pytest_federated.clients.schema import Clients
from pytest_federated.data.datasets.dataset import Dataset, Examples, Loaded, datasets, in_memory
from pytest_federated.data.datasets.files import tables
from pytest_federated.data.federation import federate
from pytest_federated.data.guesses.look import look_at
from pytest_federated.data.schema import Data

pytestmark = pytest.mark.usefixtures("in_tmp_path")


# lines

GOOD = 'a,b,y\n0.5,1.5,0\n2.5,0.25,1\n"7.5",4,0\n'
LINES: dict[str, tuple[str, str]] = {
    "a comma at the end of all lines but the header": (
        "a,b,y\n0.5,1.5,0,\n2.5,0.25,1,\n",
        "line 2: 4 values, and the header has 3 names; remove the ',' at the end of the line, or "
        "end the header so, too",
    ),
    "the same with a spare column": (
        "y,a,b,c\n0,0.5,1.5,9,\n1,2.5,0.25,9.5,\n",
        "line 2: 5 values, and the header has 4 names; remove the ',' at the end of the line, or "
        "end the header so, too",
    ),
    "an index without a name": (
        "a,b,y\nr1,0.5,1.5,0\nr2,2.5,0.25,1\n",
        "line 2: 4 values, and the header has 3 names; a value with a ',' in it stands in "
        "quotation marks, and an index needs a name or is left out (index=False in pandas)",
    ),
    "one short line": (
        "y,a,b\n0,0.5,1.5\n1,2.5\n0,7.5,4\n",
        "line 3: 2 values, and the header has 3 names; a missing value still needs its ','",
    ),
    "a short line whose last column is not used": (
        "y,a,b,note\n0,0.5,1.5,7\n1,0.25,7\n",
        "line 3: 3 values, and the header has 4 names; a missing value still needs its ','",
    ),
    "a comma at the end of the header alone": (
        "a,b,y,\n0.5,1.5,0\n2.5,0.25,1\n",
        "line 2: 3 values, and the header has 4 names; remove the ',' at the end of the header",
    ),
    "the header again": (GOOD + GOOD, "line 5: the header again; remove it"),
    "the header again at the end": ("a,b,y\n1.5,2,0\na,b,y", "line 3: the header again; remove it"),
    "two columns of one name": (
        "a,a,y\n0.5,1.5,0\n",
        "line 1: 2 columns are called 'a'; rename them",
    ),
    "a line number after a value over two lines": (
        'a,"b\nc",y\n0.5,1.5,0\n1,2\n',
        "line 4: 2 values, and the header has 3 names; a missing value still needs its ','",
    ),
}


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("keys", [{}, {"features": ["a"]}])
def test_a_line_that_does_not_fit_the_header_is_named(
    kind: str, keys: Any, in_tmp_path: Path
) -> None:
    text, message = LINES[kind]
    Path("t.csv").write_text(text)
    assert (
        refusal(lambda: features(csv="t.csv", label="y", **keys), in_tmp_path)
        == f"t.csv, {message}"
    )
    with gzip.open("t.csv.gz", "wt") as packed:
        packed.write(text)
    said = refusal(lambda: features(csv="t.csv.gz", label="y", **keys), in_tmp_path)
    assert said == f"t.csv.gz, {message}"


def test_a_test_table_with_such_a_line_is_named(in_tmp_path: Path) -> None:
    Path("t.csv").write_text(GOOD)
    Path("later.csv").write_text("a,b,y\n0.5,1.5,0,\n")
    message = refusal(lambda: dataset(csv="t.csv", label="y", test="later.csv"), in_tmp_path)
    assert message.startswith("later.csv, line 2: 4 values, and the header has 3 names; ")


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.rstrip().encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\n\n").encode(),
        (GOOD + "  \n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("4,", '"4",').encode(),
    ],
    ids=["plain", "no last line end", "CRLF", "empty lines", "spaces", "byte order mark", "quoted"],
)
def test_lines_that_fit_are_read(content: bytes) -> None:
    Path("t.csv").write_bytes(content)
    expected = [[0.5, 1.5], [2.5, 0.25], [7.5, 4]]
    assert features(csv="t.csv", label="y").tolist() == expected
    tabs = content.replace(b",", b"\t")
    Path("t.tsv").write_bytes(tabs)
    assert features(csv="t.tsv", label="y", separator="\t").tolist() == expected
    Path("t.csv.gz").write_bytes(gzip.compress(content))
    assert features(csv="t.csv.gz", label="y").tolist() == expected
    with zipfile.ZipFile("t.zip", "w") as archive:
        archive.writestr("t.csv", content)
    assert features(csv="t.zip", label="y").tolist() == expected


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, LONG)
    return content.getvalue()


def in_its_middle(packed: bytes, other: bytes) -> bytes:
    half = len(packed) // 2
    return packed[:half] + other + packed[half + len(other) :]


LONG = "a,b,y\n" + "".join(
    f"{a:.3f},{b:.3f},{n % 2}\n"
    for n, (a, b) in enumerate(np.random.default_rng(0).random((2000, 2)))
)
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda content: zipped("t.csv"),
}
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda packed: packed[: len(packed) // 2],
    "overwritten": lambda packed: in_its_middle(packed, b"\xff" * 50),
    "not packed": lambda packed: LONG.encode(),
}


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_packed_table_is_refused_by_every_reader(
    damage: str, suffix: str, in_tmp_path: Path
) -> None:
    file = Path(f"t.csv.{suffix}")
    packed = PACKED[suffix](LONG.encode())
    file.write_bytes(packed)
    assert len(features(csv=file.name, label="y")) == 2000
    file.write_bytes(DAMAGE[damage](packed))
    for read in (lambda: features(csv=file.name, label="y"), lambda: look_at(file.name, file.name)):
        said = refusal(read, in_tmp_path)
        assert said.startswith(f"{file} cannot be read as a table: ")
        assert "encoding" not in said


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a,b,y\n1,2,0\n3\x00.5,4,1\n5,6,0\n", 3),
        (b"a,b,y\n1,2,0\n3,\x00,1\n5,6,0\n", 3),
        (b"a,b,y\n1,2,0\n3,4,1\n" + bytes(8), 4),
        (b'a,b,y\n"1",2,0\n"3\x00",4,1\n', 3),
        (b"a,b\x00,y\n1,2,0\n3,4,1\n", 1),
        ("a,b,y\n1,2,0\n3,4,1\n".encode("utf-16-le"), 1),
    ],
)
def test_a_table_that_is_no_text_is_refused_by_every_reader(
    content: bytes, line: int, in_tmp_path: Path
) -> None:
    """pandas would read 3 for a damaged 3.5."""
    Path("t.csv").write_bytes(content)
    message = f"t.csv cannot be read as a table: line {line} has a NUL character, which no text has"
    for read in (lambda: features(csv="t.csv", label="y"), lambda: look_at("t.csv", "t.csv")):
        assert refusal(read, in_tmp_path) == message


@pytest.mark.parametrize("names", [(), ("t.csv", "u.csv")])
def test_an_archive_without_one_table_is_refused_by_every_reader(
    names: tuple[str, ...], in_tmp_path: Path
) -> None:
    Path("t.zip").write_bytes(zipped(*names))
    settings = datasets.parse({"kind": "csv", "csv": "t.zip", "label": "y"})
    for read in (
        lambda: features(csv="t.zip", label="y"),
        lambda: look_at("t.zip", "t.zip"),
        lambda: list(tables._glance_csv(settings)),
    ):
        assert refusal(read, in_tmp_path).startswith("t.zip cannot be read as a table: ")


def test_a_value_may_hold_the_separator_or_a_line_end() -> None:
    Path("t.csv").write_text('a,note,y\n1.5,"x, z",0\n2.5,"u\nv",1\n3.5,"x, z",0\n')
    x = features(csv="t.csv", label="y", categories=["note"])
    assert x.tolist() == [[1.5, 0, 1], [2.5, 1, 0], [3.5, 0, 1]]


def test_parquet_columns_of_the_same_name_are_refused(in_tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_arrays([pa.array([0.5, 1.5])] * 2 + [pa.array([0, 1])], ["a", "a", "y"])
    parquet.write_table(table, "t.parquet")
    message = refusal(lambda: features(parquet="t.parquet", label="y"), in_tmp_path)
    assert message.startswith("t.parquet cannot be read as a Parquet file: ")
    assert "Name(a)" in message


# numbers

TIMES = 1_700_000_000 + 10 * np.arange(600)
BIG: dict[str, np.ndarray] = {
    "seconds": TIMES,
    "nanoseconds": TIMES * 1_000_000_000,
    "floats": 1e9 + np.arange(600) / 8,
    "negative": -TIMES,
}


@pytest.mark.parametrize("kind", BIG)
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_standardizing_keeps_large_numbers_apart(write: Any, kind: str) -> None:
    values = BIG[kind].astype(np.float64)
    chosen = write(pd.DataFrame({"t": BIG[kind], "y": np.arange(600) % 2}), index=False)
    x = features(**chosen, standardize=True)
    assert len(np.unique(x)) == 600
    np.testing.assert_allclose(x[:, 0], (values - values.mean()) / values.std(), atol=1e-5)
    later = write(pd.DataFrame({"t": BIG[kind][:9], "y": [0] * 8 + [1]}), name="later", index=False)
    test = dataset(**chosen, standardize=True, test=next(iter(later.values()))).load(None).test
    assert test is not None
    np.testing.assert_array_equal(test.x, x[:9])


@pytest.mark.parametrize("kind", BIG)
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_large_numbers_that_are_not_standardized_are_refused(write: Any, kind: str) -> None:
    chosen = write(pd.DataFrame({"t": BIG[kind], "y": np.arange(600) % 2}), index=False)
    message = refusal(lambda: features(**chosen))
    assert "column 't': float32 keeps " in message and "of 600 values apart" in message
    assert message.endswith("write data.dataset.standardize: true")


def test_large_numbers_in_an_array_are_refused() -> None:
    save("t.npz", x=np.column_stack([TIMES, np.sqrt(TIMES)]), y=np.arange(600) % 2)
    message = refusal(lambda: features(npz="t.npz"))
    assert "array 'x': float32 keeps " in message
    assert message.endswith("take their mean from them before they are saved")


@pytest.mark.parametrize(
    "values",
    [np.full(N, 0.1), np.full(N, 1e9 + 0.1), 0.3 + 1e-16 * np.arange(N)],
    ids=["small", "large", "rounded"],
)
@pytest.mark.parametrize("standardize", [False, True])
def test_a_constant_feature_becomes_zero(values: np.ndarray, standardize: bool) -> None:
    x = features(**as_parquet(noise(flat=values), index=False), standardize=standardize)
    expected = 0 if standardize else values
    np.testing.assert_allclose(x[:, 2], expected, rtol=1e-6, atol=1e-12)


# missing and infinite numbers


def as_csv_of(x: np.ndarray) -> dict[str, Any]:
    return as_csv(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": LABELS}), index=False)


def as_parquet_of(x: np.ndarray) -> dict[str, Any]:
    return as_parquet(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": LABELS}), index=False)


READERS = [as_csv_of, as_parquet_of, *ARRAYS]


@pytest.mark.parametrize("write", READERS)
@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "missing"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_invalid_numbers_are_refused(write: Any, value: float, what: str, dtype: Any) -> None:
    x = NOISE.astype(dtype)
    x[6, 1] = value
    message = refusal(lambda: features(**write(x)))
    assert re.search(rf"row 7: (a number|the value) is {what}", message)


@pytest.mark.parametrize("word", ["", "NA", "None", "null", "nan"])
@pytest.mark.parametrize("column", ["a", "word", "y"])
def test_null_is_refused_everywhere(word: str, column: str) -> None:
    values: dict[str, str] = {"a": "0.5", "word": "blue", "y": "ill"}
    rows = [values, {**values, column: word}, {**values, "y": "well"}]
    Path("t.csv").write_text("a,word,y\n" + "".join(f"{','.join(r.values())}\n" for r in rows))
    message = refusal(lambda: features(csv="t.csv", label="y", categories=["word"]))
    assert f"column {column!r}, row 2: " in message


# the test set


def twice(chosen: dict[str, Any], key: str) -> dict[str, Any]:
    return {**chosen, "test": chosen[key]}


def same_keras() -> dict[str, Any]:
    save("t.npz", x_train=NOISE, y_train=LABELS, x_test=NOISE, y_test=LABELS)
    return {"keras": "t.npz"}


def same_folder() -> dict[str, Any]:
    for name in ("x/1", "y/2"):
        draw(f"i/{name}.png", picture(BYTES))
    return {"image_folder": "i", "test": "i"}


def same_split() -> dict[str, Any]:
    import datasets as hf

    table = hf.Dataset.from_dict({"x": NOISE.tolist(), "label": LABELS})
    hf.DatasetDict({"train": table, "test": table}).save_to_disk("t")
    return {"huggingface": "t", "features": "x", "test": "train"}


def a_copy() -> dict[str, Any]:
    chosen = as_csv(noise(), index=False)
    Path("copy.csv").write_text(Path("t.csv").read_text())
    return {**chosen, "test": "copy.csv"}


@pytest.mark.parametrize(
    "write",
    [
        lambda: twice(as_csv_of(NOISE), "csv"),
        lambda: twice(as_parquet_of(NOISE), "parquet"),
        lambda: twice(as_npz(NOISE), "npz"),
        same_keras,
        same_folder,
        same_split,
        lambda: {**same_split(), "test": "test"},
        a_copy,
    ],
)
def test_the_training_examples_are_refused_as_a_test_set(
    write: Callable[[], dict[str, Any]],
) -> None:
    message = refusal(lambda: dataset(**write()))
    assert ": all of these test examples are the training examples of " in message


# TFF's ClientData

MODULE = """\
import numpy as np
import tensorflow_federated as tff

def load(kind):
    rng = np.random.default_rng(0)
    y = np.arange(12) % 2
    x = {
        "bytes": rng.integers(256, size=(12, 4, 3)).astype(np.uint8),
        "deep": rng.integers(65536, size=(12, 4, 3)).astype(np.uint16),
        "flags": np.eye(3, dtype=np.uint8)[np.arange(12) % 3],
        "count": np.column_stack([rng.normal(size=12), np.arange(12)]),
        "missing": np.where(np.arange(12) == 6, np.nan, rng.normal(size=12))[:, None],
        "same": rng.normal(size=(12, 2)),
    }[kind]
    def clients():
        parts = {"ann": slice(0, 5), "bob": slice(5, 12)}
        return tff.simulation.datasets.TestClientData({n: (x[p], y[p]) for n, p in parts.items()})
    return (clients(), clients()) if kind == "same" else clients()
"""


@pytest.fixture
def clients(tff: Any, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_tmp_path / "fed_odd_clients.py").write_text(MODULE)
    monkeypatch.syspath_prepend(in_tmp_path)


def from_tff(kind: str, **keys: Any) -> np.ndarray:
    return features(tff="fed_odd_clients:load", args={"kind": kind}, **keys)


def test_tff_clients_are_read_by_the_same_rules(clients: None) -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(256, size=(12, 4, 3)), rng.integers(65536, size=(12, 4, 3))
    np.testing.assert_allclose(from_tff("bytes")[..., 0], levels[0] / 255, rtol=1e-6)
    np.testing.assert_allclose(from_tff("deep")[..., 0], levels[1] / 65535, rtol=1e-6)
    np.testing.assert_array_equal(from_tff("flags"), np.eye(3)[np.arange(12) % 3])
    assert "column 1 (from 0) numbers the rows" in refusal(lambda: from_tff("count"))
    assert "row 7: a number is missing" in refusal(lambda: from_tff("missing"))
    assert "are the training examples" in refusal(lambda: from_tff("same", test_set=True))


# a function of the user


def own_data(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Dataset]) -> Callable[[], Any]:
    monkeypatch.setattr(datasets, "_entries", datasets.entries())
    datasets("own_odd", has_test_set=True)(lambda cache: make())
    data = Data.model_validate({"dataset": "own_odd"})
    return lambda: federate(data, Clients.model_validate({"count": 2}), 0, NO_CACHE)


def examples(n: int = N, labels: Any = None, **changed: Any) -> Examples:
    return Examples(**{"x": NOISE[:n].copy(), "y": LABELS if labels is None else labels, **changed})


def odd(changed: Any) -> Examples:
    some = examples()
    some.x[4, 1] = changed
    return some


@pytest.mark.parametrize(
    ("train", "test", "task", "message"),
    [
        (examples(25), examples(), "label", "the training examples have 25 rows of x, and 30 of y"),
        (examples(), examples(25), "label", "the test examples have 25 rows of x, and 30 of y"),
        (odd(np.nan), examples(), "label", "the training examples: x, row 5: a number is missing"),
        (examples(), odd(np.inf), "label", "the test examples: x, row 5: a number is infinite"),
        (examples(labels=LABELS + 1), examples(), "label", "the training examples have the label "),
        (examples(), examples(labels=LABELS - 1), "label", "the test examples have the label -1"),
        (examples(labels=LABELS * 0.5), examples(), "label", "the training examples have y of "),
        (examples(), examples(x=NOISE[:, :1]), "label", "test examples of shape (1,); those to "),
        (examples(), examples(), "tokens", "the training examples have y of shape (30,)"),
        (examples(labels=np.eye(3)[:1].repeat(N, 0)), examples(), "tags", "the training examples "
         "have tags of shape (30, 3), not (30, 2)"),
    ],
)  # fmt: skip
def test_an_inconsistent_data_set_of_the_user_is_refused(
    train: Examples, test: Examples, task: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = own_data(monkeypatch, lambda: in_memory("odd", train, 2, None, task, test))
    assert refusal(make).startswith(f"the data set odd: {message}")


def test_inconsistent_clients_of_a_data_set_of_the_user_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    natural = np.zeros(N - 1, np.int64)
    for whose, message in ((natural, "and 29 say whose"), (np.full(N, 2), "none of the 2 clients")):
        loaded = Loaded(examples(), whose, examples(9, LABELS[:9]))
        make = own_data(monkeypatch, lambda of=loaded: Dataset("odd", 2, ["a", "b"], lambda _: of))
        assert message in refusal(make)


def test_a_consistent_data_set_of_the_user_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    make = own_data(monkeypatch, lambda: in_memory("odd", examples(), 2, None, "label", examples()))
    assert len(make().train) == N
