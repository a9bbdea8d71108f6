"""The table of odd files in docs/datasets.md: each is written, and read by each reader that can.

docs/make_datasets.py writes it, and test_documentation.py compares.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pandas as pd
from example_data import dataset, save
from own_files import draw
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Dataset, Loaded
from written_files import WRITERS, Settings, write_huggingface

READERS = tuple(WRITERS)
REFUSED, NOT_THERE = "refused", "–"

_RNG = np.random.default_rng(0)
_N = 30
_NOISE = _RNG.normal(size=(_N, 2))
_LABELS = np.arange(_N) * 3 // _N  # sorted, so that a row number gives the label away
_WARDS = np.array(["b", "a", "c"])[np.arange(_N) % 3]
_BYTES = _RNG.integers(256, size=(_N, 4, 3)).astype(np.uint8)
_DEEP = _RNG.integers(65536, size=(_N, 4, 3)).astype(np.uint16)
_TIMES = 1_700_000_000 + 10 * _RNG.permutation(_N) * 3
_WORDS = np.array(["oak", "elm", "ash"])[_LABELS]

Read = Callable[[Dataset, Loaded], bool]

_OF_IMAGES = ("image_folder", "image_manifest")
_OF_NUMBERS = tuple(name for name in READERS if name not in _OF_IMAGES)


@dataclass(frozen=True)
class Kind:
    """A kind of odd file.

    Attributes:
        readers: those that can come across it.
        write: writes it for a reader, and returns the keys of the data set.
        outcome: what the table says of it if it is read; otherwise what the message says if it is
            refused, as a pattern.
        is_so: whether it was read in that way; None where every reader refuses it.

    """

    readers: tuple[str, ...]
    write: Callable[[str], Settings]
    outcome: str
    is_so: Optional[Read] = None


def _noise(**changed: Any) -> Callable[[str], Settings]:
    """Writes examples in which something is otherwise, images where a reader reads images."""

    def write(reader: str) -> Settings:
        x = changed.get("x", _BYTES if reader in _OF_IMAGES else _NOISE)
        return WRITERS[reader](x, changed.get("y", _LABELS), changed.get("clients"))

    return write


def _with(value: float) -> np.ndarray:
    x = _NOISE.copy()
    x[6, 1] = value
    return x


def _features_are(expected: np.ndarray) -> Read:
    def is_so(_: Dataset, loaded: Loaded) -> bool:
        x = np.asarray(loaded.train.x[:]).reshape(_N, -1)
        own = expected.reshape(_N, -1)
        return np.allclose(np.sort(x, axis=0), np.sort(own, axis=0), rtol=1e-6)

    return is_so


def _labels_are(expected: np.ndarray) -> Read:
    return lambda _, loaded: np.array_equal(np.sort(loaded.train.y), np.sort(expected))


def _broken(reader: str) -> Settings:
    """Cuts the largest file in the middle, or an image, or puts bytes into a table of text."""
    settings = _noise()(reader)
    files = [f for f in Path().rglob("*") if f.is_file() and not f.name.endswith("_info.json")]
    if reader in _OF_IMAGES:
        files = [f for f in files if f.suffix == ".png"]
    file = max(files, key=lambda f: (f.stat().st_size, f.name))
    file.write_bytes(b"\xff\xfe\x00" + file.read_bytes()[:50])
    return settings


def _empty(reader: str) -> Settings:
    if reader in _OF_IMAGES:
        Path("t").mkdir()
        Path("t.csv").write_text("path,label\n")
        key = "image_folder" if reader == "image_folder" else "image_manifest"
        return {key: "t" if reader == "image_folder" else "t.csv"}
    if reader == "huggingface":
        return write_huggingface(np.zeros((0, 2)), np.zeros(0, np.int64))
    return WRITERS[reader](np.zeros((0, 2)), np.zeros(0, np.int64))


def _tested_on_training(reader: str) -> Settings:
    if reader == "keras":
        save("t.npz", x_train=_NOISE, y_train=_LABELS, x_test=_NOISE, y_test=_LABELS)
        return {"keras": "t.npz"}
    settings = _noise()(reader)
    if reader == "leaf":
        shutil.copy("t/train/a.json", "t/test/a.json")
        return settings
    if reader == "huggingface":
        import datasets as hf

        table: Any = hf.load_from_disk("t")
        hf.DatasetDict({"train": table, "test": table}).save_to_disk("u")
        return {**settings, "huggingface": "u", "test": "test"}
    if reader == "image_manifest":
        table = pd.read_csv("t.csv")
        parts = [table.assign(part=part) for part in ("train", "test")]
        pd.concat(parts).to_csv("t.csv", index=False)
        return {**settings, "split": "part"}
    return {**settings, "test": settings[reader]}


def _long_line(reader: str) -> Settings:
    settings = _noise()(reader)
    with Path("t.csv").open("a") as file:
        file.write("1,2,3,4,5,6\n")
    return settings


def _other_paths(reader: str) -> Settings:
    settings = _noise()(reader)
    Path("t.csv").write_text(Path("t.csv").read_text().replace("t/03.png", "../03.png"))
    return settings


def _lost_image(reader: str) -> Settings:
    settings = _noise()(reader)
    Path("t/03.png").unlink()
    return settings


def _another_size(reader: str) -> Settings:
    settings = _noise()(reader)
    draw(str(next(Path("t").rglob("03.png"))), _BYTES[0, :2])
    return settings


def _misspelled(reader: str) -> Settings:
    key = {"npz": "y"}.get(reader, "label")
    return {**_noise()(reader), key: "labels"}


KINDS: dict[str, Kind] = {
    "pixels of 16 bits": Kind(
        ("parquet", "npz", "keras", "huggingface", *_OF_IMAGES),
        _noise(x=_DEEP),
        "divided by 65535",
        _features_are(_DEEP / 65535),
    ),
    "pixels of 8 bits": Kind(
        ("parquet", "npz", "keras", "huggingface", *_OF_IMAGES),
        _noise(x=_BYTES),
        "divided by 255",
        _features_are(_BYTES / 255),
    ),
    "bytes in columns, no images": Kind(
        ("csv", "parquet", "npz", "keras", "huggingface"),
        _noise(x=np.eye(4, dtype=np.uint8)[np.arange(_N) % 4]),
        "as they are",
        _features_are(np.eye(4)[np.arange(_N) % 4]),
    ),
    "a column that numbers the rows": Kind(
        _OF_NUMBERS,
        _noise(x=np.column_stack([_NOISE[:, 0], np.arange(_N)])),
        "numbers the rows",
    ),
    "a number is missing": Kind(_OF_NUMBERS, _noise(x=_with(np.nan)), "is missing"),
    "an infinite number": Kind(_OF_NUMBERS, _noise(x=_with(np.inf)), "is infinite"),
    "numbers that float32 cannot tell apart": Kind(
        _OF_NUMBERS,
        _noise(x=np.column_stack([_NOISE[:, 0], _TIMES.astype(np.float64)])),
        "float32 keeps",
    ),
    "labels 1, 2 and 3": Kind(
        READERS, _noise(y=_LABELS + 1), "numbered from 0", _labels_are(_LABELS)
    ),
    "labels that are words": Kind(
        tuple(name for name in READERS if name != "keras"),
        _noise(y=_WORDS),
        "numbered in sorted order",
        _labels_are(2 - _LABELS),
    ),
    "a label is missing": Kind(
        ("csv", "parquet", "huggingface", "leaf", "image_manifest"),
        _noise(y=[None, *_WORDS[1:].tolist()]),
        "the value is missing",
    ),
    "rows in another order": Kind(
        tuple(name for name in READERS if name not in ("keras", "image_folder")),
        _noise(clients=_WARDS[::-1]),
        "the same clients",
        lambda described, _: [*described.natural] == ["a", "b", "c"],
    ),
    "a name that is not there": Kind(
        ("csv", "parquet", "npz", "huggingface", "image_manifest"),
        _misspelled,
        "has no (column|array) 'labels'",
    ),
    "a line with more values than the header": Kind(
        ("csv", "image_manifest"), _long_line, "line 32, saw 6"
    ),
    "images of several sizes": Kind(_OF_IMAGES, _another_size, "pixels; the images before have"),
    "a path that leaves the folder": Kind(
        ("image_manifest",), _other_paths, "row 4: .* leaves the folder"
    ),
    "a path without a file": Kind(("image_manifest",), _lost_image, "row 4: there is no file"),
    "a test set that is the training set": Kind(
        READERS, _tested_on_training, "are the training examples|in another row for training"
    ),
    "a broken file": Kind(READERS, _broken, "cannot be (read|opened)"),
    "no examples": Kind(READERS, _empty, "there are no (examples|images)"),
}


def outcome(kind: Kind, reader: str) -> str:
    """Returns what a reader does with a kind of file, written into an empty folder.

    Raises:
        AssertionError: it reads the file in another way than the table says.

    """
    if reader not in kind.readers:
        return NOT_THERE
    with _empty_folder():
        settings = kind.write(reader)
        try:
            described = dataset(**settings)
            loaded = described.load(None)
            np.asarray(loaded.train.x[:])
        except DataError as error:
            assert "\n" not in str(error)
            assert kind.is_so is None and re.search(kind.outcome, str(error)), error
            return REFUSED
        assert kind.is_so is not None, f"{reader} reads {settings}"
        assert kind.is_so(described, loaded), f"{reader} reads {settings} otherwise"
        return kind.outcome


@contextlib.contextmanager
def _empty_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def table(kinds: Mapping[str, Kind] = KINDS) -> str:
    """Returns the table in Markdown."""
    rows = [f"| file | {' | '.join(f'`{reader}`' for reader in READERS)} |"]
    rows.append("|---" * (len(READERS) + 1) + "|")
    for name, kind in kinds.items():
        cells = [outcome(kind, reader) for reader in READERS]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)
