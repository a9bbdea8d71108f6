"""Data sets from images and other libraries' files; damaged files of each kind."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import dataset, save
from own_files import COLORED, DIGITS, IMAGES, RNG, draw, made, refusal
from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.dataset import augmented, datasets
from pytest_federated.data.datasets.files.huggingface import _glance
from pytest_federated.data.guesses.look import look_at

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_an_image_folder_is_read(leaves: dict[str, np.ndarray]) -> None:
    for file, image in leaves.items():
        draw(file.replace("leaves", "held"), image[::-1])
    data = made({"kind": "image_folder", "image_folder": "leaves", "by_client": True,
                 "test": "held"}, split="natural")  # fmt: skip
    assert (data.names, data.num_classes) == (("ann", "bob"), 2)
    for client, name in enumerate(data.names):
        examples = data.examples(client)
        of = {f: i for f, i in sorted(leaves.items()) if f"/{name}/" in f}
        np.testing.assert_array_equal(examples.x, np.stack([*of.values()]) / np.float32(255))
        assert examples.y.tolist() == [int("oak" in f) for f in of]
    assert data.test.x.shape == (6, 4, 5, 3)
    assert data.test.x.dtype == data.test.x[:].dtype == np.float32
    # Decoded images are not read again.
    Path("leaves/ann/oak/1.png").unlink()
    assert data.examples(0).x.shape == (3, 4, 5, 3)


def test_an_image_folder_is_read_in_gray_and_resized() -> None:
    draw("a/x/1.png", COLORED[0])
    draw("a/y/2.jpg", np.full((8, 8), 200, np.uint8))
    read = dataset(image_folder="a", channels=1, size=[2, 3])
    x = np.asarray(read.load(None).train.x)
    assert x.shape == (2, 2, 3, 1)
    np.testing.assert_allclose(x[1], 200 / 255, atol=0.01)
    assert list(read.natural) == []


def test_invalid_image_folders_are_named(in_tmp_path: Path) -> None:
    Path("a/x").mkdir(parents=True)
    assert refusal(dataset, image_folder="a") == (
        f"{in_tmp_path}/a: there are no images in it; they must be there as label/image.png"
    )
    draw("a/x/1.png", COLORED[0])
    draw("a/x/2.png", COLORED[0, :3])
    assert refusal(dataset, image_folder="a") == (
        f"{in_tmp_path}/a/x/2.png: 5 x 3 pixels; the images before have 5 x 4; data.dataset.size "
        "brings all to one size"
    )
    Path("a/x/2.png").write_bytes(b"garbage")
    message = refusal(dataset, image_folder="a")
    assert message.startswith(f"{in_tmp_path}/a/x/2.png cannot be read as an image: ")
    whole = Path("a/x/1.png").read_bytes()
    Path("a/x/2.png").write_bytes(whole[: len(whole) // 2])
    read = dataset(image_folder="a").load(None)
    message = refusal(lambda: read.train.x[:])
    assert message.startswith(f"{in_tmp_path}/a/x/2.png cannot be read as an image: ")
    assert refusal(dataset, image_folder="a", by_client=True) == (
        f"{in_tmp_path}/a/x/1.png: images must be in {in_tmp_path}/a as client/label/image, "
        "or all as client/train/label/image or client/test/label/image"
    )
    Path("a/x/2.png").unlink()
    draw("b/z/1.png", COLORED[0])
    assert refusal(dataset, image_folder="a", test="b") == (
        f"{in_tmp_path}/b: the folders' names, row 1: "
        "the label 'z' is none of the training examples'; "
        "these are x"
    )


# Hugging Face


def test_hugging_face_images_are_read(in_tmp_path: Path) -> None:
    import datasets as hf
    from PIL import Image

    columns = {
        "image": [Image.fromarray(image) for image in COLORED],
        "label": [0, 1, 2, 0, 1, 2],
        "whose": ["a", "b"] * 3,
    }
    features = hf.Features(
        image=hf.Image(),
        label=hf.ClassLabel(names=["oak", "elm", "ash", "fir"]),
        whose=hf.Value("string"),
    )
    whole = hf.Dataset.from_dict(columns, features=features)
    splits = hf.DatasetDict({"train": whole.select(range(4)), "rest": whole.select([4, 5])})
    splits.save_to_disk("saved", num_shards={"train": 2, "rest": 1})
    data = made({"kind": "huggingface", "huggingface": "saved", "client": "whose",
                 "test": "rest"}, split="natural")  # fmt: skip
    assert (data.names, data.num_classes) == (("a", "b"), 4)  # no fir has been seen
    np.testing.assert_array_equal(data.examples(0).x, COLORED[[0, 2]] / np.float32(255))
    assert data.examples(1).y.tolist() == [1, 0]
    np.testing.assert_array_equal(data.test.x[:], COLORED[4:] / np.float32(255))
    assert refusal(dataset, huggingface="saved", test="tset") == (
        f"{in_tmp_path}/saved has no split 'tset' (data.dataset.test); allowed: train, rest"
    )
    Path("saved/train/data-00001-of-00002.arrow").unlink()
    message = refusal(dataset, huggingface="saved")
    assert "train/data-00001-of-00002.arrow cannot be read as an Arrow file: " in message


def test_hugging_face_arrays_and_text_labels_are_read(in_tmp_path: Path) -> None:
    import datasets as hf

    x = RNG.integers(256, size=(4, 3, 2), dtype=np.uint8)
    features = hf.Features(
        pixels=hf.Array2D((3, 2), "uint8"), label=hf.Value("string"), size=hf.Value("float64")
    )
    columns = {"pixels": list(x), "label": ["b", "a", "b", "b"], "size": [1.5, 2, 3, 4]}
    hf.Dataset.from_dict(columns, features=features).save_to_disk("saved")
    read = dataset(huggingface="saved", features="pixels")
    train = read.load(None).train
    np.testing.assert_array_equal(train.x[:], x[..., np.newaxis] / np.float32(255))
    assert (train.y.tolist(), read.num_classes) == ([1, 0, 1, 1], 2)
    sizes = dataset(huggingface="saved", features="size").load(None).train.x
    np.testing.assert_array_equal(sizes, [[1.5], [2], [3], [4]])
    assert refusal(dataset, huggingface="saved") == (
        f"{in_tmp_path}/saved has no column 'image' (data.dataset.features); "
        "allowed: pixels, label, size"
    )
    assert refusal(dataset, huggingface="saved", features="size", test="test") == (
        f"{in_tmp_path}/saved is a single split; data.dataset.test needs a DatasetDict"
    )


def test_a_folder_that_hugging_face_did_not_write_is_named(in_tmp_path: Path) -> None:
    Path("a").mkdir()
    assert "was not written by save_to_disk" in refusal(dataset, huggingface="a")
    Path("a/state.json").write_text("[]")
    Path("a/dataset_info.json").write_text("{}")
    assert refusal(dataset, huggingface="a") == (
        f"{in_tmp_path}/a/state.json cannot be read: it should hold a mapping"
    )


def lists_saved() -> None:
    import datasets as hf

    columns = {"x": [[1.5, 2], [3, 4.5], [0, 1]], "label": [0, 1, 1]}
    hf.Dataset.from_dict(columns).save_to_disk("saved/train")
    hf.Dataset.from_dict(columns).save_to_disk("saved/rest")
    Path("saved/dataset_dict.json").write_text('{"splits": ["train", "rest"]}')


@pytest.mark.parametrize("stated", [[{"dtype": "float64", "_type": "Value"}], {}, None])
def test_a_column_of_lists_is_known_however_its_type_is_stated(stated: Any) -> None:
    lists_saved()
    for file in Path("saved").glob("*/dataset_info.json"):
        info = json.loads(file.read_text())
        info["features"]["x"] = stated
        file.write_text(json.dumps(info))
    keys = {"kind": "huggingface", "huggingface": "saved", "features": "x", "test": "rest"}
    assert not [*_glance(datasets.parse(keys))]
    assert look_at("saved", "saved").settings == {"huggingface": "saved", "features": "x"}
    assert dataset(huggingface="saved", features="x").load(None).train.x[:].shape == (3, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"splits": null}', "it should list the names of splits under splits"),
        ('{"splits": "train"}', "it should list the names of splits under splits"),
        ("{}", "it should list the names of splits under splits"),
        ("[1]", "it should hold a mapping"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
    ],
)
def test_splits_that_are_none_are_refused_by_every_reader(content: str, message: str) -> None:
    lists_saved()
    Path("saved/dataset_dict.json").write_text(content)
    settings = datasets.parse({"kind": "huggingface", "huggingface": "saved", "features": "x"})
    for read in (
        lambda: dataset(huggingface="saved", features="x"),
        lambda: [*_glance(settings)],
        lambda: look_at("saved", "saved"),
    ):
        with pytest.raises(DataError, match=rf"dataset_dict\.json cannot be read: {message}"):
            read()


@pytest.mark.parametrize("names", [5, "01", {}, None])
def test_names_of_labels_that_are_no_list_are_left_out(names: Any) -> None:
    lists_saved()
    file = Path("saved/train/dataset_info.json")
    info = json.loads(file.read_text())
    info["features"]["label"] = {"_type": "ClassLabel", "names": names}
    file.write_text(json.dumps(info))
    assert not dataset(huggingface="saved", features="x").label_names


# Keras


def cifar_archive(folder: Path, images: np.ndarray, labels: list[int], test: int) -> None:
    """Writes CIFAR-10 as Keras keeps it: five batches and a test batch of so many images."""
    folder.mkdir(parents=True)
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), 3072)
    ends = [*np.linspace(0, len(rows) - test, 6).astype(int), len(rows)]
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for name, begin, end in zip(names, ends, ends[1:]):
        batch = {b"batch_label": name.encode(), b"labels": labels[begin:end]}
        batch |= {b"data": rows[begin:end], b"filenames": [b"a.png"] * (end - begin)}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.fixture
def home(in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(in_tmp_path))
    cached = in_tmp_path / ".keras" / "datasets"
    cached.mkdir(parents=True)
    return cached


def test_keras_archives_are_read(home: Path) -> None:
    arrays = {"x_train": IMAGES, "y_train": DIGITS, "x_test": IMAGES[:5], "y_test": DIGITS[:5]}
    for path, chosen in ((home / "mnist.npz", "mnist"), (Path("mine.npz"), "mine.npz")):
        np.savez(path, **arrays)
        read = dataset(keras=chosen)
        loaded = read.load(None)
        assert (read.name, read.num_classes) == (chosen, 3)
        np.testing.assert_array_equal(loaded.train.x[:], IMAGES[..., None] / np.float32(255))
        assert loaded.test is not None
        np.testing.assert_array_equal(loaded.test.x[:], IMAGES[:5, ..., None] / np.float32(255))
        assert loaded.test.y.tolist() == DIGITS[:5].tolist()
    save("bad.npz", x_train=IMAGES, y_train=DIGITS)
    assert refusal(dataset, keras="bad.npz").endswith(
        "bad.npz has no array 'x_test' (data.dataset.x); allowed: x_train, y_train"
    )


def test_images_of_keras_are_cropped_whitened_and_distorted(home: Path) -> None:
    images = RNG.integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
    cifar_archive(home / "cifar-10-batches-py", images, [*range(10), 0, 1], test=2)
    centers = images[:, 4:28, 4:28]
    plain = dataset(keras="cifar10", crop=[24, 24]).load(None)
    np.testing.assert_array_equal(plain.train.x[:], centers[:10] / np.float32(255))
    data = dataset(keras="cifar10", crop=[24, 24], distort=True, standardize=True).load(None)
    flat = centers.reshape(12, -1).astype(np.float64)
    white = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    white = white.reshape(centers.shape)
    assert data.test is not None and data.train.x.shape == (10, 24, 24, 3)
    np.testing.assert_allclose(data.train.x[:], white[:10], atol=1e-5)
    np.testing.assert_allclose(data.test.x[:], white[10:], atol=1e-5)
    for rows, are_distorted in ((data.train.x, True), (data.test.x, False)):
        index = np.arange(len(rows[:]))
        drawn = [augmented(rows, index, np.random.default_rng(seed)) for seed in (0, 1)]
        assert np.array_equal(drawn[0], drawn[1]) is not are_distorted
        np.testing.assert_allclose(drawn[0].mean((1, 2, 3)), 0, atol=1e-5)
        assert np.array_equal(drawn[0], rows[:]) is not are_distorted


def test_only_images_of_bytes_are_cropped_and_no_larger_than_they_are(home: Path) -> None:
    parts = {"y_train": DIGITS, "y_test": DIGITS[:5]}
    save("table.npz", x_train=np.ones((len(DIGITS), 4)), x_test=np.ones((5, 4)), **parts)
    for keys in ({"crop": [2, 2]}, {"distort": True}, {"standardize": True}):
        assert refusal(dataset, keras="table.npz", **keys).endswith(
            "table.npz: data.dataset.crop, distort and standardize are for images of bytes "
            "(uint8), which these features, float32 of shape (4,), are not; leave them out"
        )
    save("images.npz", x_train=IMAGES, x_test=IMAGES[:5], **parts)
    height, width = IMAGES.shape[1:3]
    for crop in ([height + 1, 1], [1, width + 1]):
        assert f"data.dataset.crop: got {crop}; the images are {[height, width]}, and" in refusal(
            dataset, keras="images.npz", crop=crop
        )


@pytest.mark.parametrize(("name", "label"), [("cifar10", "labels"), ("cifar100", "fine_labels")])
def test_keras_cifar_is_read_as_keras_does(
    name: str, label: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[name]
    folder.mkdir()
    files = {
        "cifar10": [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"],
        "cifar100": ["train", "test"],
    }[name]
    rows = RNG.integers(256, size=(len(files), 2, 3072), dtype=np.uint8)
    for number, (file, data) in enumerate(zip(files, rows)):
        batch = {b"data": data, label.encode(): [number, 7]}
        (folder / file).write_bytes(pickle.dumps(batch, protocol=2))
    loaded = dataset(keras=name).load(None)
    images = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / np.float32(255)
    np.testing.assert_array_equal(loaded.train.x[:], images[:-2])
    assert loaded.train.y.tolist() == [v for n in range(len(files) - 1) for v in (n, 7)]
    assert loaded.test is not None
    np.testing.assert_array_equal(loaded.test.x[:], images[-2:])
    # The pickle names a function, which is not called.
    (folder / files[0]).write_bytes(b"cos\nsystem\n(S'touch called'\ntR.")
    assert refusal(dataset, keras=name) == (
        f"{folder / files[0]} is not a batch of CIFAR images: it names os.system"
    )
    assert not Path("called").exists()


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_keras_data_that_is_not_cached_is_named(name: str, home: Path) -> None:
    with pytest.raises(DataUnavailable, match=rf"{name} is not in Keras's cache .*load_data\(\)'$"):
        dataset(keras=name)
    with pytest.raises(DataUnavailable) as error:
        dataset(keras=name)
    assert str(home) in str(error.value) and str(home) not in error.value.reason


# Damaged files


def damaged() -> dict[str, dict[str, Any]]:
    """Writes files of all kinds; returns the keys that read each."""
    import datasets as hf
    import pandas as pd

    np.savez_compressed("a.npz", x=RNG.normal(size=(9, 4)), y=np.arange(9) % 3)
    save("k.npz", x_train=IMAGES, y_train=DIGITS, x_test=IMAGES[:3], y_test=DIGITS[:3])
    table = pd.DataFrame({"a": RNG.normal(size=9), "b": list("xyz") * 3, "y": np.arange(9) % 3})
    table.to_csv("a.csv", index=False)
    table.to_parquet("a.parquet")
    for label in "xy":
        draw(f"leaves/{label}/1.png", COLORED[0])
        draw(f"leaves/{label}/2.jpg", COLORED[1])
    hf.Dataset.from_dict({"image": [[1.0, 2.0], [3.0, 4.0]], "label": ["a", "b"]}).save_to_disk(
        "saved"
    )
    of_table = {"label": "y", "categories": ["b"]}
    return {
        "a.npz": {"npz": "a.npz"},
        "k.npz": {"keras": "k.npz"},
        "a.csv": {"csv": "a.csv", **of_table},
        "a.parquet": {"parquet": "a.parquet", **of_table},
        "leaves/x/1.png": {"image_folder": "leaves"},
        "leaves/y/2.jpg": {"image_folder": "leaves"},
        **{str(file): {"huggingface": "saved"} for file in sorted(Path("saved").iterdir())},
    }


def test_a_damaged_file_is_named_whatever_is_wrong_with_it(in_tmp_path: Path) -> None:
    """Cut off or with some bytes changed, it is refused in one line or still readable."""
    rng = np.random.default_rng(0)
    for file, chosen in damaged().items():
        whole = Path(file).read_bytes()
        refused = 0
        for attempt in range(40):
            content = np.frombuffer(whole, np.uint8)
            if attempt < 15:
                content = content[: len(whole) * attempt // 15]
            else:
                content = content.copy()
                places = rng.integers(len(content), size=rng.choice([1, 3, 30]))
                content[places] = rng.integers(256, size=len(places))
            Path(file).unlink()  # it may still be mapped
            Path(file).write_bytes(content.tobytes())
            try:
                np.asarray(dataset(**chosen).load(None).train.x[:])
            except DataError as error:
                refused += 1
                assert str(in_tmp_path / Path(file).parts[0]) in str(error), file
        assert refused > 10, file
        Path(file).unlink()
        Path(file).write_bytes(whole)
        dataset(**chosen)
