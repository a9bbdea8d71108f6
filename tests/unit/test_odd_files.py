"""Odd files of the user's own: read right, or refused in one line that says what to do."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest
from example_data import NO_CACHE, dataset, save
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Dataset, Examples, Loaded, datasets, in_memory
from pytest_federated.data.federation import federate
from pytest_federated.data.schema import Data

pytestmark = pytest.mark.usefixtures("in_tmp_path")

RNG = np.random.default_rng(0)
N = 30
NOISE = RNG.normal(size=(N, 2)).astype(np.float32)
LABELS = np.arange(N) * 2 // N  # sorted, so that whatever numbers the rows tells the label
ORDER = RNG.permutation(N)


def refusal(function: Callable[[], Any], folder: Optional[Path] = None) -> str:
    with pytest.raises(DataError) as error:
        function()
    message = str(error.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "") if folder else message


def noise(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": NOISE[:, 0], "b": NOISE[:, 1], "y": LABELS, **columns})


def features(**chosen: Any) -> np.ndarray:
    """The training features, read whole."""
    return np.asarray(dataset(**chosen).load(None).train.x[:])


# identifiers


def as_csv(frame: pd.DataFrame, name: str = "t", **how: Any) -> dict[str, Any]:
    frame.to_csv(f"{name}.csv", **how)
    return {"csv": f"{name}.csv", "label": "y"}


def as_parquet(frame: pd.DataFrame, name: str = "t", **how: Any) -> dict[str, Any]:
    frame.to_parquet(f"{name}.parquet", **how)
    return {"parquet": f"{name}.parquet", "label": "y"}


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
PART = np.sort(RNG.permutation(N * 5 // 4)[:N])  # as of four of five rows to train on
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
    "blank name": (lambda: as_csv(noise(), index_label=" "), [" "], "has no name"),
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
    "id": LABELS,
    "seconds": 1000 + 10 * np.arange(N),
    "area": GAPS,
    "acid": GAPS,
    "paid": GAPS,
    "flag": LABELS == 1,
    "grid": GAPS,
}


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_columns_that_are_no_identifiers_are_features(write: Any, name: str) -> None:
    chosen = write(noise(**{name: FEATURES[name]}), index=False)
    x = features(**chosen)
    np.testing.assert_allclose(x[:, 2], np.asarray(FEATURES[name], np.float32))


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
def test_what_cannot_be_excluded(keys: dict[str, Any], message: str, in_tmp_path: Path) -> None:
    chosen = as_csv(noise(), index=False)
    assert refusal(lambda: features(**chosen, **keys), in_tmp_path) == message


# columns without names


def as_npz(x: np.ndarray) -> dict[str, Any]:
    save("t.npz", x=x, y=LABELS)
    return {"npz": "t.npz"}


def as_keras(x: np.ndarray) -> dict[str, Any]:
    save("t.npz", x_train=x, y_train=LABELS, x_test=x[:5], y_test=LABELS[:5])
    return {"keras": "t.npz"}


def as_huggingface(x: np.ndarray) -> dict[str, Any]:
    import datasets as hf

    of = hf.Value(str(x.dtype))
    if x.ndim == 2:
        of = hf.Sequence(of, x.shape[1])
    elif x.ndim == 3:
        of = hf.Array2D(x.shape[1:], str(x.dtype))
    types = hf.Features(x=of, label=hf.Value("int64"))
    hf.Dataset.from_dict({"x": list(x), "label": LABELS}, features=types).save_to_disk("t")
    return {"huggingface": "t", "features": "x"}


def as_lists(x: np.ndarray) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import parquet

    kind: Any = pa.from_numpy_dtype(x.dtype)
    for _ in x.shape[1:]:
        kind = pa.list_(kind)
    parquet.write_table(pa.table({"x": pa.array(x.tolist(), kind), "y": LABELS}), "t.parquet")
    return {"parquet": "t.parquet", "label": "y", "shape": [*x.shape[1:]]}


ARRAYS = [as_npz, as_keras, as_huggingface, as_lists]


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


# lines

GOOD = 'a,b,y\n0.5,1.5,0\n2.5,0.25,1\n"7.5",4,0\n'
LINES: dict[str, tuple[str, str]] = {
    "a comma at the end of all lines but the header": (
        "a,b,y\n0.5,1.5,0,\n2.5,0.25,1,\n",
        "line 2: 4 values, and the header has 3 names; remove the ',' at the end of the line, or "
        "end the header so, too",
    ),
    "the same, with a spare column": (
        "y,a,b,c\n0,0.5,1.5,9,\n1,2.5,0.25,9.5,\n",
        "line 2: 5 values, and the header has 4 names; remove the ',' at the end of the line, or "
        "end the header so, too",
    ),
    "an index without a name": (
        "a,b,y\nr1,0.5,1.5,0\nr2,2.5,0.25,1\n",
        "line 2: 4 values, and the header has 3 names; a value with a ',' in it stands in "
        "quotation marks, and an index needs a name or is left out (index=False in pandas)",
    ),
    "one line that is short": (
        "y,a,b\n0,0.5,1.5\n1,2.5\n0,7.5,4\n",
        "line 3: 2 values, and the header has 3 names; where a value is missing, its ',' still has "
        "to stand",
    ),
    "a short line whose last column is not used": (
        "y,a,b,note\n0,0.5,1.5,7\n1,0.25,7\n",
        "line 3: 3 values, and the header has 4 names; where a value is missing, its ',' still has "
        "to stand",
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
        "line 4: 2 values, and the header has 3 names; where a value is missing, its ',' still has "
        "to stand",
    ),
}


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("keys", [{}, {"features": ["a"]}])
def test_a_line_that_does_not_fit_the_header(kind: str, keys: Any, in_tmp_path: Path) -> None:
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


def test_a_test_table_with_such_a_line(in_tmp_path: Path) -> None:
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
def test_lines_that_fit(content: bytes) -> None:
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


def test_a_value_may_hold_the_separator_or_a_line_end() -> None:
    Path("t.csv").write_text('a,note,y\n1.5,"x, z",0\n2.5,"u\nv",1\n3.5,"x, z",0\n')
    x = features(csv="t.csv", label="y", categories=["note"])
    assert x.tolist() == [[1.5, 0, 1], [2.5, 1, 0], [3.5, 0, 1]]


def test_parquet_columns_of_one_name(in_tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_arrays([pa.array([0.5, 1.5])] * 2 + [pa.array([0, 1])], ["a", "a", "y"])
    parquet.write_table(table, "t.parquet")
    message = refusal(lambda: features(parquet="t.parquet", label="y"), in_tmp_path)
    assert message.startswith("t.parquet cannot be read as a Parquet file: ")
    assert "Name(a)" in message


# images

DEEP = np.array([[0, 1000, 30000], [40000, 65534, 65535]], np.uint16)
BYTES = np.array([[0, 10, 128], [200, 254, 255]], np.uint8)
COLORS = np.stack([BYTES, BYTES // 2, BYTES // 3], axis=-1)


def pgm(levels: np.ndarray) -> bytes:
    return b"P5 3 2 65535\n" + levels.astype(">u2").tobytes()


def picture(array: np.ndarray, mode: Optional[str] = None) -> Any:
    from PIL import Image

    image = Image.fromarray(array)
    return image if mode is None else image.convert(mode)


def big_endian(levels: np.ndarray) -> Any:
    from PIL import Image

    return Image.frombytes("I;16B", (3, 2), levels.astype(">u2").tobytes())


def with_alpha() -> np.ndarray:
    return np.concatenate([COLORS, BYTES[..., np.newaxis]], axis=-1)


IMAGES: dict[str, tuple[str, Callable[[], Any], np.ndarray]] = {
    "8 bits": ("png", lambda: picture(BYTES), BYTES / 255),
    "16-bit PNG": ("png", lambda: picture(DEEP), DEEP / 65535),
    "16-bit TIFF": ("tif", lambda: picture(DEEP), DEEP / 65535),
    "16-bit TIFF, big-endian": ("tif", lambda: big_endian(DEEP), DEEP / 65535),
    "16-bit PGM": ("pgm", lambda: pgm(DEEP), DEEP / 65535),
    "12 bits in 16": ("png", lambda: picture(DEEP // 16), (DEEP // 16) / 65535),
    "float TIFF": ("tif", lambda: picture((DEEP / 65535).astype(np.float32)), DEEP / 65535),
    "1 bit": ("png", lambda: picture((BYTES > 100) * np.uint8(255), "1"), BYTES > 100),
    "palette of grays": ("png", lambda: picture(BYTES, "P"), BYTES / 255),
    "gray with alpha": ("png", lambda: picture(np.stack([BYTES, BYTES], -1)), BYTES / 255),
    "colors": ("png", lambda: picture(COLORS), COLORS / 255),
    "colors with alpha": ("png", lambda: picture(with_alpha()), COLORS / 255),
    "palette of colors": ("gif", lambda: picture(COLORS).quantize(), COLORS / 255),
    "CMYK": ("tif", lambda: picture(COLORS, "CMYK"), COLORS / 255),
}


def draw(path: str, image: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        Path(path).write_bytes(image)
    else:
        image.save(path)


def as_folder(files: list[str]) -> dict[str, Any]:
    return {"image_folder": str(Path(files[0]).parts[0])}


def as_encoded(files: list[str]) -> dict[str, Any]:
    import datasets as hf

    images = [{"bytes": Path(f).read_bytes(), "path": None} for f in files]
    types = hf.Features(image=hf.Image(), label=hf.Value("int64"))
    columns = {"image": images, "label": [0] * len(files)}
    hf.Dataset.from_dict(columns, features=types).save_to_disk("saved")
    return {"huggingface": "saved"}


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("read", [as_folder, as_encoded])
def test_images_are_between_0_and_1(read: Any, channels: int, kind: str) -> None:
    ending, make, expected = IMAGES[kind]
    draw(f"i/x/1.{ending}", make())
    x = features(**read([f"i/x/1.{ending}"]), channels=channels)
    assert (x.shape, x.dtype) == ((1, 2, 3, channels), np.float32)
    if expected.ndim == 2:
        expected = np.repeat(expected[..., np.newaxis], channels, axis=-1)
    within = 0.01 if kind == "palette of colors" else 2e-7
    if expected.shape[2] != channels:  # ITU-R 601-2 luma, in whole levels
        expected = (expected @ [0.299, 0.587, 0.114])[..., np.newaxis]
        within += 0.51 / 255
    np.testing.assert_allclose(x[0], expected, atol=within)


@pytest.mark.parametrize("read", [as_folder, as_encoded])
def test_images_of_several_depths_stand_side_by_side(read: Any) -> None:
    expected = []
    for number in range(6):
        levels, largest = ((DEEP, 65535), (BYTES, 255))[number % 2]
        turned = np.roll(levels, number, axis=1)
        draw(f"i/x/{number}.png", picture(turned))
        expected.append(turned / largest)
    chosen = read([f"i/x/{n}.png" for n in range(6)])
    rows = dataset(**chosen, channels=1).load(None).train.x
    for index in ([5, 0], [1], [0, 2], [4, 3, 3, 1], [0, 1, 2, 3, 4, 5]):
        np.testing.assert_allclose(
            rows[np.array(index)][..., 0], np.stack([expected[i] for i in index]), atol=1e-7
        )


def test_a_16_bit_image_is_brought_to_a_size() -> None:
    draw("i/x/1.png", picture(np.full((9, 7), 40000, np.uint16)))
    draw("i/x/2.png", picture(np.full((5, 5), 51, np.uint8)))
    x = features(image_folder="i", size=[4, 2])
    assert x.shape == (2, 4, 2, 3)
    np.testing.assert_allclose(x[0], 40000 / 65535, atol=1e-6)
    np.testing.assert_allclose(x[1], 0.2, atol=1e-6)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (DEEP.astype(np.float32), "gray levels from 0 to 65535, floats"),
        (np.array([[-0.5, 1]], np.float32), "gray levels from -0.5 to 1, floats"),
        (np.array([[np.nan, 1]], np.float32), "gray levels from nan to nan, floats"),
        (DEEP.astype(np.int32) - 1000, "gray levels from -1000 to 64535, whole numbers of 32 bits"),
    ],
)
def test_images_of_which_nothing_says_what_is_white(
    levels: np.ndarray, message: str, in_tmp_path: Path
) -> None:
    draw("i/x/1.tif", picture(levels))
    assert refusal(lambda: features(image_folder="i"), in_tmp_path) == (
        f"i/x/1.tif: {message}: what is white? "
        "Save it with 8 or 16 bits, or with floats from 0 to 1"
    )


@pytest.mark.parametrize("write", ARRAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_of_levels_are_images_from_three_dimensions(write: Any, dtype: Any) -> None:
    largest = np.iinfo(dtype).max
    x = RNG.integers(largest, size=(N, 4, 3), endpoint=True).astype(dtype)
    read = features(**write(x))
    np.testing.assert_allclose(read.reshape(x.shape), x / largest, rtol=1e-6)


@pytest.mark.parametrize("write", ARRAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_columns_stay_as_they_are_whatever_their_type(write: Any, dtype: Any) -> None:
    one_hot = np.eye(3)[np.arange(N) % 3]
    x = np.column_stack([one_hot, np.arange(N) % 7 + 20]).astype(dtype)
    np.testing.assert_array_equal(features(**write(x)), x.astype(np.float32))


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
def test_invalid_numbers(write: Any, value: float, what: str, dtype: Any) -> None:
    x = NOISE.astype(dtype)
    x[6, 1] = value
    message = refusal(lambda: features(**write(x)))
    assert "row 7: a number is " + what in message


@pytest.mark.parametrize("word", ["", "NA", "None", "null", "nan"])
@pytest.mark.parametrize("column", ["a", "word", "y"])
def test_null_is_refused_wherever_it_is(word: str, column: str) -> None:
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
def test_the_training_examples_are_no_test_set(write: Callable[[], dict[str, Any]]) -> None:
    message = refusal(lambda: dataset(**write()))
    assert ": these examples to test on are those to train on (" in message


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
    assert "are those to train on" in refusal(lambda: from_tff("same", test_set=True))


# a function of one's own


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
def test_a_data_set_of_the_user_that_cannot_be(
    train: Examples, test: Examples, task: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = own_data(monkeypatch, lambda: in_memory("odd", train, 2, None, task, test))
    assert refusal(make).startswith(f"the data set odd: {message}")


def test_clients_of_the_user_data_set_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    natural = np.zeros(N - 1, np.int64)
    for whose, message in ((natural, "and 29 say whose"), (np.full(N, 2), "none of the 2 clients")):
        loaded = Loaded(examples(), whose, examples(9, LABELS[:9]))
        make = own_data(monkeypatch, lambda of=loaded: Dataset("odd", 2, ["a", "b"], lambda _: of))
        assert message in refusal(make)


def test_a_data_set_of_the_user_that_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    make = own_data(monkeypatch, lambda: in_memory("odd", examples(), 2, None, "label", examples()))
    assert len(make().train) == N
