"""Images that a table lists, with their labels, clients and parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest
from example_data import NO_CACHE, dataset
from odd_data import BYTES, draw, picture, refusal
from pytest_federated.data.datasets import external
from pytest_federated.data.federation import federate
from pytest_federated.data.schema import Data, Partition

pytestmark = pytest.mark.usefixtures("in_tmp_path")

LABELS = ["oak", "elm", "oak", "elm", "oak", "elm"]
WARDS = ["north", "north", "south", "south", "south", "north"]
PARTS = ["train", "Train", "train", "train", "test", " TEST"]


def levels(number: int) -> np.ndarray:
    return BYTES // (number + 1)


def manifest(
    path: Optional[list[Any]] = None, file: str = "scans/list.csv", **columns: Any
) -> dict[str, Any]:
    """Writes six images, and a table that lists them, with these columns instead of its own."""
    for number in range(6):
        draw(f"scans/img/{number}.png", picture(levels(number)))
    frame = pd.DataFrame(
        {
            "path": path or [f"img/{number}.png" for number in range(6)],
            "label": LABELS,
            "ward": WARDS,
            "part": PARTS,
            **columns,
        }
    )
    if file.endswith(".csv"):
        frame.to_csv(file, index=False)
    else:
        frame.to_parquet(file, index=False)
    return {"image_manifest": file, "channels": 1}


@pytest.mark.parametrize("file", ["scans/list.csv", "scans/list.parquet"])
def test_images_have_the_labels_and_clients_of_their_rows(file: str) -> None:
    """And nothing else is read from the table."""
    described = dataset(**manifest(file=file, row=range(6)), client="ward")
    loaded = described.load(None)
    assert tuple(described.label_names) == ("elm", "oak")
    assert loaded.train.y.tolist() == [1, 0, 1, 0, 1, 0]
    np.testing.assert_array_equal(
        loaded.train.x[:], [levels(n)[..., np.newaxis] / np.float32(255) for n in range(6)]
    )
    assert described.natural == ["north", "south"]
    assert loaded.natural is not None
    assert loaded.natural.tolist() == [0, 0, 1, 1, 1, 0]
    assert loaded.test is None


def test_a_column_says_what_is_for_testing() -> None:
    """With clients, each is tested on its own test images."""
    settings = {**manifest(), "client": "ward", "split": "part"}
    loaded = dataset(**settings).load(None)
    assert len(loaded.train) == 4
    assert loaded.test is not None
    np.testing.assert_array_equal(loaded.test.x[:][0][..., 0], levels(4) / np.float32(255))
    assert loaded.test.y.tolist() == [1, 0]
    data = Data.model_validate({"dataset": settings})
    federated = federate(data, Partition.model_validate({"split": "natural"}), 0, NO_CACHE)
    assert [len(federated.test_examples(c)) for c in range(2)] == [1, 1]


def test_images_are_scaled_and_of_16_bits() -> None:
    deep = np.array([[0, 65535], [30000, 1]], np.uint16)
    settings = manifest(path=["img/0.png", "img/deep.png", *[f"img/{n}.png" for n in range(2, 6)]])
    draw("scans/img/deep.png", picture(deep))
    loaded = dataset(**settings, size=[2, 2]).load(None)
    assert loaded.train.x.shape == (6, 2, 2, 1)
    np.testing.assert_allclose(loaded.train.x[:][1][..., 0], deep / 65535, atol=1e-6)
    colors = dataset(**{**settings, "channels": 3, "size": [4, 5]}).load(None)
    assert colors.train.x.shape == (6, 4, 5, 3)


def test_columns_of_tags_and_numbers_can_be_predicted() -> None:
    settings = manifest(edema=[0, 1, 0, 1, 1, 0], mass=[1, 1, 0, 0, 0, 0], age=[1.5, 2, 3, 4, 5, 6])
    tags = dataset(**settings, label=["edema", "mass"], task="tags")
    assert tags.load(None).train.y.tolist()[:2] == [[0, 1], [1, 1]]
    ages = dataset(**settings, label="age", task="regression")
    assert ages.load(None).train.y.tolist() == [1.5, 2, 3, 4, 5, 6]
    binary = dataset(**settings, label="mass", task="binary")
    assert binary.load(None).train.y.tolist() == [1, 1, 0, 0, 0, 0]


def test_a_list_without_a_header_is_read() -> None:
    settings = manifest()
    lines = [f"img/{n}.png {label}" for n, label in enumerate(LABELS)]
    Path("scans/list.txt").write_text("\n".join(lines) + "\n")
    settings["image_manifest"] = "scans/list.txt"
    described = dataset(**settings, separator="spaces", columns=["path", "label"])
    assert described.load(None).train.y.tolist() == [1, 0, 1, 0, 1, 0]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a path above the folder": (
        {"path": ["img/0.png", "../other.png", *["img/1.png"] * 4]},
        {},
        "scans/list.csv: column 'path', row 2: '../other.png' leaves the folder of the table; "
        "paths are relative to it, and below",
    ),
    "a path that leaves it and comes back": (
        {"path": ["img/../../scans/img/0.png", *["img/1.png"] * 5]},
        {},
        "row 1: 'img/../../scans/img/0.png' leaves the folder of the table",
    ),
    "an absolute path": (
        {"path": ["/etc/passwd", *["img/1.png"] * 5]},
        {},
        "row 1: '/etc/passwd' leaves the folder of the table",
    ),
    "a missing file": (
        {"path": ["img/0.png", "img/1.pmg", *["img/1.png"] * 4]},
        {},
        "row 2: there is no file 'img/1.pmg' in scans; did you mean '1.png'?",
    ),
    "backslashes": (
        {"path": ["img\\0.png", *["img/1.png"] * 5]},
        {},
        "there is no file 'img\\\\0.png' in scans; folders are separated by /",
    ),
    "a missing path": (
        {"path": ["img/0.png", None, *["img/1.png"] * 4]},
        {},
        "column 'path', row 2: the path is missing",
    ),
    "a folder": (
        {"path": ["img", *["img/1.png"] * 5]},
        {},
        "row 1: there is no file 'img' in scans",
    ),
    "numbers for paths": ({"path": range(6)}, {}, "column 'path', row 1: 0 is no path"),
    "no such column": ({}, {"label": "labels"}, "has no column 'labels' (data.dataset.label)"),
    "no such path": ({}, {"path": "file"}, "has no column 'file' (data.dataset.path)"),
    "no such client": ({}, {"client": "wards"}, "did you mean 'ward'?"),
    "no such split": ({}, {"split": "parts"}, "did you mean 'part'?"),
    "a missing label": (
        {"label": [*LABELS[:5], None]},
        {},
        "scans/list.csv: column 'label', row 6: the value is missing",
    ),
    "a missing label of a part": (
        {"label": [*LABELS[:5], None]},
        {"split": "part"},
        "column 'label' of the rows with part test, row 2: the value is missing",
    ),
    "another part": (
        {"part": [*PARTS[:5], "val"]},
        {"split": "part"},
        "column 'part', row 6: 'val' is neither train nor test; data.validation_fraction takes",
    ),
    "no test images": (
        {"part": ["train"] * 6},
        {"split": "part"},
        "column 'part': no row has test",
    ),
    "an image in both parts": (
        {"path": ["img/0.png", *[f"img/{n}.png" for n in range(1, 5)], "img/0.png"]},
        {"split": "part"},
        "column 'part', row 6: 'img/0.png' is for testing, and in another row for training",
    ),
}


@pytest.mark.parametrize("columns, keys, message", REFUSED.values(), ids=REFUSED.keys())
def test_a_manifest_with_a_mistake_is_refused_in_one_line(
    columns: dict[str, Any], keys: dict[str, Any], message: str
) -> None:
    settings = {**manifest(**columns), **keys}
    assert message in refusal(lambda: dataset(**settings).load(None), Path.cwd())


@pytest.mark.parametrize(
    "content, message",
    [
        (b"no image", "row 3: img/2.png cannot be read as an image: cannot identify image file"),
        (picture(np.zeros((5, 5), np.uint8)), "row 3: img/2.png: 5 x 5 pixels; the images before"),
    ],
)
def test_an_unreadable_image_is_named_with_its_row(content: Any, message: str) -> None:
    settings = manifest()
    draw("scans/img/2.png", content)
    assert message in refusal(lambda: dataset(**settings).load(None).train.x[:], Path.cwd())


def test_a_changed_image_is_learned_from_again() -> None:
    """So the images belong to what a training depends on."""
    settings = Data.model_validate({"dataset": manifest()}).dataset
    before = external.fingerprints(settings, NO_CACHE)
    assert len(before) == 6
    draw("scans/img/5.png", picture(levels(9)))
    after = external.fingerprints(settings, NO_CACHE)
    assert [a == b for a, b in zip(before, after)] == [True] * 5 + [False]
