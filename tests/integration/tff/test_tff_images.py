"""TFF's image data sets, read by TFF's loaders from small files that TFF writes."""

from __future__ import annotations

import hashlib
import io
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import write_clients
from pytest_federated import run
from pytest_federated.clients.cohort import shuffled_examples
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.crops import standardized
from pytest_federated.data.datasets.dataset import Cache, datasets
from pytest_federated.data.datasets.tff.celeba import ATTRIBUTES
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data
from pytest_federated.running.options import Options
from pytest_federated.scenario.schema import Scenario
from pytest_federated.tff.internals import readable_tfrecords
from tff_data import RNG, as_they_stand, inside, made

pytestmark = pytest.mark.usefixtures("offline")


# cifar100


def images(n: int, side: int) -> np.ndarray:
    return RNG.integers(256, size=(n, side, side, 3), dtype=np.int64)


@pytest.fixture(scope="module")
def cifar(tff: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    def client(n: int) -> dict[str, np.ndarray]:
        fine = RNG.integers(100, size=n)
        return {"image": images(n, 32), "label": fine, "coarse_label": fine // 5}

    splits = {
        "train": {str(i): client(n) for i, n in enumerate((3, 2, 4))},
        "test": {"0": client(2), "1": client(3)},
    }
    folder = tmp_path_factory.mktemp("cifar100")
    write_clients(folder / "cifar100.sqlite", splits)
    return folder, splits


@pytest.mark.parametrize(
    ("labels", "key", "classes"), [("fine", "label", 100), ("coarse", "coarse_label", 20)]
)
def test_cifar100_gives_back_what_was_written(
    cifar: tuple[Path, Any], labels: str, key: str, classes: int
) -> None:
    folder, splits = cifar
    data = made(folder, "cifar100", labels=labels)
    assert (data.names, data.num_classes, data.task) == (("0", "1", "2"), classes, "label")
    for client, name in enumerate(data.names):
        examples = data.examples(client)
        written = splits["train"][name]
        np.testing.assert_array_equal(examples.x, (written["image"] / 255).astype(np.float32))
        np.testing.assert_array_equal(examples.y, written[key])
        assert (examples.x.dtype, examples.y.dtype) == (np.float32, np.int32)
    # All test clients, whoever takes part: they are different clients.
    some = made(folder, "cifar100", count=1, labels=labels)
    assert len(some.train) < 5 and some.client_test == ()
    test = [splits["test"][name] for name in ("0", "1")]
    np.testing.assert_array_equal(some.test.y, np.concatenate([t[key] for t in test]))
    whole = np.concatenate([t["image"] for t in test]) / 255
    np.testing.assert_array_equal(some.test.x[:], whole.astype(np.float32))


@pytest.mark.parametrize("crop", [None, [24, 24], [31, 1]])
def test_cifar100_is_preprocessed_as_by_tff(tff: Any, cifar: tuple[Path, Any], crop: Any) -> None:
    folder, _ = cifar
    shape = (*(crop or [24, 24]), 3)
    process = inside("baselines.cifar100.image_classification_preprocessing").create_preprocess_fn(
        as_they_stand(tff), shape
    )
    data = made(folder, "cifar100", preprocessing="tff", crop=crop)
    train, test = tff.simulation.datasets.cifar100.load_data(str(folder))
    assert data.train.x.shape[1:] == shape
    tested = []
    for client, name in enumerate(data.names):
        ((x, y),) = process(train.create_tf_dataset_for_client(name)).as_numpy_iterator()
        ours = data.examples(client)
        np.testing.assert_allclose(ours.x, x, atol=1e-5)
        np.testing.assert_array_equal(ours.y, y)
        assert ours.x.dtype == np.float32
    for name in test.client_ids:
        ((x, _),) = process(test.create_tf_dataset_for_client(name)).as_numpy_iterator()
        tested.append(x)
    np.testing.assert_allclose(data.test.x[:], np.concatenate(tested), atol=1e-5)


def cuts(image: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """Returns all cuts of that size from an image (height, width, channels), also mirrored."""
    parts = [
        image[top : top + size[0], left : left + size[1]]
        for top in range(image.shape[0] - size[0] + 1)
        for left in range(image.shape[1] - size[1] + 1)
    ]
    return [*parts, *(part[:, ::-1] for part in parts)]


def which(part: np.ndarray, of: np.ndarray, tolerance: float = 1e-4) -> int:
    """Returns the index of the only one of these cuts (n, ...) that equals `part`."""
    (found,) = np.flatnonzero(np.abs(of - part).max(axis=(1, 2, 3)) < tolerance)
    return int(found)


def test_cifar100_is_distorted_as_by_tff(tff: Any, cifar: tuple[Path, Any]) -> None:
    folder, splits = cifar
    process = inside("baselines.cifar100.image_classification_preprocessing").create_preprocess_fn(
        tff.simulation.baselines.ClientSpec(20, 60, shuffle_buffer_size=1), (29, 30, 3), True
    )
    data = made(folder, "cifar100", preprocessing="tff", crop=[29, 30], distort=True)
    plain = made(folder, "cifar100", preprocessing="tff", crop=[29, 30])
    train, _ = tff.simulation.datasets.cifar100.load_data(str(folder))
    ((theirs, labels),) = process(train.create_tf_dataset_for_client("0")).as_numpy_iterator()
    rounds = [shuffled_examples(data, 0, 0, number) for number in range(200)]
    assert (rounds[0].x.shape, rounds[0].x.dtype) == ((3, 29, 30, 3), np.float32)
    written = splits["train"]["0"]
    for image, label in zip(written["image"], written["label"]):
        allowed = standardized(np.stack(cuts(image, (29, 30))))
        assert len(allowed) == 4 * 3 * 2
        for x in theirs[labels == label]:
            which(x, allowed)
        # Each occurs, and about equally often: 200 / 24 times, with a deviation of 3.
        seen = [which(own.x[own.y == label][0], allowed) for own in rounds]
        counts = np.bincount(seen, minlength=24)
        assert (counts.min() > 0, counts.max() < 25) == (True, True)
    # The same round of the same seed is identical to the bit; other rounds are not.
    again = shuffled_examples(data, 0, 0, 7)
    np.testing.assert_array_equal(again.x, rounds[7].x)
    assert not np.array_equal(shuffled_examples(data, 0, 1, 7).x, rounds[7].x)
    # Images that are not trained on are cropped to the middle, and the order is unchanged.
    np.testing.assert_array_equal(data.test.x[:], plain.test.x[:])
    np.testing.assert_array_equal(data.examples(0).x, plain.examples(0).x)
    np.testing.assert_array_equal(shuffled_examples(plain, 0, 0, 7).y, again.y)


def test_held_out_images_are_not_distorted(cifar: tuple[Path, Any]) -> None:
    def clients(distort: bool, shift: Any) -> FederatedData:
        dataset = {"kind": "cifar100", "crop": [4, 4], "distort": distort}
        data = {"dataset": dataset, "holdout": "per_client", "test_fraction": 0.4}
        chosen = Clients.model_validate({"split": "natural", "shift": shift})
        return federate(Data.model_validate(data), chosen, 0, Cache(cifar[0]))

    for shift in ([], [{"kind": "contrast", "lowest": 0.5}]):
        distorted, plain = clients(True, shift), clients(False, shift)
        for client in range(3):
            held, same = distorted.test_examples(client), plain.test_examples(client)
            assert len(held) >= 1
            np.testing.assert_array_equal(held.x, same.x)
            trained, other = (shuffled_examples(d, client, 0, 1) for d in (distorted, plain))
            assert not np.array_equal(trained.x, other.x)
            np.testing.assert_array_equal(trained.y, other.y)


def test_a_training_on_distorted_images_is_reproducible(
    worker: None, cifar: tuple[Path, Any]
) -> None:
    def losses(distort: bool, execution: str) -> list[Any]:
        scenario = Scenario.model_validate({
            "name": "distorted",
            "data": {
                "dataset": {"kind": "cifar100", "labels": "coarse", "crop": [4, 4],
                            "distort": distort},
            },
            "clients": {"split": "natural"}, "model": "linear",
            "training": {"rounds": 2, "batch_size": 2, "execution": execution},
        })  # fmt: skip
        (history,) = run(scenario, Options(cache=cifar[0])).histories
        return [(r.train_loss, r.loss) for r in history.rounds]

    found = losses(True, "packed")
    assert found == losses(True, "packed")
    assert found != losses(False, "packed")
    np.testing.assert_allclose(found, losses(True, "standard"), rtol=1e-5)


def test_cifar100_is_cropped(cifar: tuple[Path, Any]) -> None:
    folder, splits = cifar
    x = made(folder, "cifar100", crop=[20, 32]).examples(0).x
    np.testing.assert_array_equal(
        x, (splits["train"]["0"]["image"][:, 6:26] / 255).astype(np.float32)
    )


def test_a_flat_image_is_standardized_as_by_tensorflow(tff: Any) -> None:
    import tensorflow as tf

    rows = RNG.integers(256, size=(5, 4, 6, 3)).astype(np.uint8)
    rows[0], rows[1], rows[1, 0, 0, 0] = 200, 7, 8
    theirs = tf.image.per_image_standardization(tf.cast(rows, tf.float32)).numpy()
    np.testing.assert_allclose(standardized(rows), theirs, atol=1e-5)


# celeba


@pytest.fixture(scope="module")
def faces(tff: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    def client(n: int) -> dict[str, np.ndarray]:
        return {"image": images(n, 84), **{a: RNG.integers(2, size=n) for a in ATTRIBUTES}}

    splits = {
        f"split_by_{way}_{part}": {name: client(n) for name, n in (("7", 2), ("12", 3))}
        for way in ("examples", "clients")
        for part in ("train", "test")
    }
    folder = tmp_path_factory.mktemp("celeba")
    write_clients(folder / "celeba.sqlite", splits)
    return folder, splits


@pytest.mark.parametrize("attribute", ["smiling", "male", "all"])
def test_celeba_gives_back_what_was_written(faces: tuple[Path, Any], attribute: str) -> None:
    folder, splits = faces
    data = made(folder, "celeba", attribute=attribute)
    assert data.names == ("12", "7")
    for client, name in enumerate(data.names):
        written = splits["split_by_examples_train"][name]
        examples = data.examples(client)
        np.testing.assert_array_equal(examples.x, (written["image"] / 255).astype(np.float32))
        if attribute == "all":
            tags = np.stack([written[a] for a in ATTRIBUTES], axis=1)
            np.testing.assert_array_equal(examples.y, tags)
            assert (data.task, data.num_classes) == ("tags", 40)
        else:
            np.testing.assert_array_equal(examples.y, written[attribute])
            assert (data.task, data.num_classes) == ("label", 2)
    tests = [splits["split_by_examples_test"][name]["image"] for name in data.names]
    assert len(data.test) == 5
    np.testing.assert_array_equal(data.test.x[:], (np.concatenate(tests) / 255).astype(np.float32))
    for client, written in enumerate(tests):
        own = data.test_examples(client)
        np.testing.assert_array_equal(own.x, (written / 255).astype(np.float32))
    assert data.tested_clients == 2 and data.unseen_names == ()


def test_celeba_attributes_are_those_of_tff(tff: Any) -> None:
    assert list(ATTRIBUTES) == inside("datasets.celeba").ATTRIBUTE_NAMES
    with pytest.raises(ValueError, match="did you mean 'smiling'"):
        Data.model_validate({"dataset": {"kind": "celeba", "attribute": "smilling"}})


# gldv2 and inaturalist


def records(file: Path, pictures: list[np.ndarray], labels: list[int]) -> None:
    """Writes a TFRecord file as TFF's loaders do."""
    import tensorflow as tf

    create = inside("datasets.vision_datasets_utils").create_example
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as out:
        for picture, label in zip(pictures, labels):
            encoded = tf.io.encode_jpeg(picture, quality=100).numpy()
            out.write(create(encoded, label).SerializeToString())


CASES = [
    ("gldv2", {}, "gld23k", 203),
    ("gldv2", {"variant": "160k"}, "gld160k", 2028),
    ("inaturalist", {}, "user_120k", 1203),  # as TFF writes it
    ("inaturalist", {"clients": "geo_3k"}, "GEO_3K", 1203),  # as TFF reads it
]


@pytest.mark.parametrize(("name", "keys", "folder", "classes"), CASES)
def test_records_of_large_images_are_read(
    tff: Any, name: str, keys: dict[str, Any], folder: str, classes: int, tmp_path: Path
) -> None:
    def flat(gray: int, *shape: int) -> np.ndarray:
        return np.full(shape, gray, np.uint8)

    written = {"ann": ([flat(0, 9, 6, 3), flat(100, 20, 30, 1)], [4, 5]), "bob": ([], [])}
    written["eve"] = ([flat(200, 5, 5, 3)], [classes - 1])
    for client, (pictures, labels) in written.items():
        records(tmp_path / folder / "train" / client, pictures, labels)
    records(tmp_path / folder / "test.tfRecord", [flat(50, 8, 9, 3), flat(60, 7, 7, 3)], [0, 1])
    entry = Data.model_validate({"dataset": {"kind": name, "size": [4, 3], **keys}}).dataset
    dataset = datasets.entry(entry).call(entry, Cache(tmp_path))
    assert (list(dataset.natural), dataset.num_classes) == (["ann", "bob", "eve"], classes)
    loaded = dataset.load(["eve", "bob", "ann"])
    assert loaded.train.x.shape == (3, 4, 3, 3)
    assert loaded.train.y.tolist() == [classes - 1, 4, 5]
    assert loaded.natural is not None and loaded.natural.tolist() == [0, 2, 2]
    grays = np.asarray(loaded.train.x)[:, 0, 0] * 255
    np.testing.assert_allclose(grays, np.repeat([[200], [0], [100]], 3, axis=1), atol=2)
    assert loaded.test is not None
    assert loaded.test.x.shape == (2, 4, 3, 3)
    assert loaded.test.y.tolist() == [0, 1]
    # Unpacked once: the records are not read again.
    for client in written:
        (tmp_path / dataset_folder(name, folder) / "train" / client).write_bytes(b"")
    again = datasets.entry(entry).call(entry, Cache(tmp_path)).load(["ann"])
    assert again.train.y.tolist() == [4, 5]


def test_landmarks_are_preprocessed_as_by_tff(tff: Any, tmp_path: Path) -> None:
    sizes = [(150, 129, 3), (131, 140, 1), (128, 128, 3), (90, 200, 3), (60, 40, 3)]
    smooth = [
        np.cumsum(RNG.integers(-3, 4, size=size), axis=1).clip(-99, 99).astype(np.uint8)
        for size in sizes
    ]
    colored = [i for i, size in enumerate(sizes) if size[-1] == 3]
    records(tmp_path / "gld160k" / "train" / "ann", smooth, list(range(5)))
    records(tmp_path / "gld160k" / "test.tfRecord", [smooth[i] for i in colored], colored)
    data = made(tmp_path, "gldv2", variant="160k", preprocessing="tff")
    assert (data.train.x.shape, data.num_classes) == ((5, 128, 128, 3), 2028)
    # TFF turns the gray one into (128, 128, 1), which its own model does not accept.
    np.testing.assert_array_equal(data.train.x[:][colored], data.test.x[:])
    process = inside("baselines.landmark.landmark_preprocessing").create_preprocess_fn(
        tff.simulation.baselines.ClientSpec(1, 1, shuffle_buffer_size=1), False
    )
    with readable_tfrecords("gldv2"):
        _, test = inside("datasets.vision_datasets_utils").load_data_from_cache(
            str(tmp_path / "gld160k"), "train", "test.tfRecord", "gldv2"
        )
    theirs = list(process(test).as_numpy_iterator())
    assert data.test.y.tolist() == [int(y[0, 0]) for _, y in theirs]
    for place, (x, _) in enumerate(theirs):
        # Enlarged images are rounded to bytes once more, by at most one gray level.
        level = 1e-6 if min(sizes[colored[place]][:2]) >= 128 else 2.01 / 255
        np.testing.assert_allclose(data.test.x[:][place], x[0], atol=level)


def test_landmarks_are_trained_on_as_by_tff(tff: Any, tmp_path: Path) -> None:
    sizes = [(129, 128, 3), (128, 129, 1), (128, 128, 3), (90, 200, 3)]
    smooth = [
        np.cumsum(RNG.integers(-3, 4, size=size), axis=1).clip(-99, 99).astype(np.uint8)
        for size in sizes
    ]
    folder = tmp_path / "gld160k"
    records(folder / "train" / "ann", smooth[:3], [0, 1, 2])
    records(folder / "train" / "bob", smooth[3:], [3])
    records(folder / "test.tfRecord", smooth[:1], [0])
    data = made(tmp_path, "gldv2", variant="160k", preprocessing="tff")
    middles = dict(zip(data.train.y.tolist(), data.train.x[:]))
    load = inside("datasets.vision_datasets_utils").load_data_from_cache
    with readable_tfrecords("gldv2"):
        train, _ = load(str(folder), "train", "test.tfRecord", "gldv2")
    process = inside("baselines.landmark.landmark_preprocessing").create_preprocess_fn(
        tff.simulation.baselines.ClientSpec(8, 1, shuffle_buffer_size=1), True
    )
    for client, name in enumerate(data.names):
        rows = train.create_tf_dataset_for_client(name)
        whole = {int(r["class"][0]): r["image/decoded"] for r in rows.as_numpy_iterator()}
        colored = (train.create_tf_dataset_for_client(name)
                    .filter(lambda row: row["class"][0] != 1))  # fmt: skip
        theirs = [(int(y[0, 0]), x[0]) for x, y in process(colored).as_numpy_iterator()]
        ours = [
            shuffled_examples(data, client, 0, number) for number in range(25 if client == 0 else 8)
        ]
        for label, image in whole.items():
            is_small = min(image.shape[:2]) < 128
            pixels = image * np.float32(2 / 255) - 1
            of = cuts(middles[label] if is_small else pixels, (128, 128))
            parts = np.stack(of)
            of_tff = [which(x, parts, 0.02 if is_small else 1e-5) for y, x in theirs if y == label]
            of_us = [which(own.x[own.y == label][0], parts, 1e-5) for own in ours]
            assert set(of_us) == set(range(len(parts)))  # every place, and its mirror image
            if label != 1:  # TFF turns a gray one into a shape that its own model refuses
                assert set(of_tff) <= set(of_us)
                assert len(set(of_tff)) > 1
        again = shuffled_examples(data, client, 0, 7)
        np.testing.assert_array_equal(again.x, ours[7].x)
    records(folder / "train" / "ann", smooth[:2], [0, 1])  # the file has changed since then
    (folder / "train" / "bob").write_bytes(b"garbage")
    for client, why in ((0, "ann had 3 images, and has 2"), (1, "")):
        with pytest.raises(DataError, match=f"is not what TFF's loader of gldv2 makes: {why}"):
            shuffled_examples(data, client, 0, 1)


@pytest.fixture
def published(tff: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small archives like those that TFF's loaders fetch, at local addresses."""
    root = tmp_path / "published"
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout=0: io.BytesIO())

    def put(path: str, data: bytes) -> tuple[str, str]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        return (root / path).as_uri(), hashlib.md5(data).hexdigest()

    def archived(files: dict[str, bytes], form: str) -> bytes:
        folder = tmp_path / "to-archive"
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        file = shutil.make_archive(str(tmp_path / "archive"), form, folder)
        shutil.rmtree(folder)
        return Path(file).read_bytes()

    def publish(module: Any, *files: tuple[str, str, bytes]) -> None:
        for place, checksum, data in files:
            url, md5 = put(place, data)
            monkeypatch.setattr(module, place, url)
            monkeypatch.setattr(module, checksum, md5)

    import tensorflow as tf

    jpeg = tf.io.encode_jpeg(np.full((9, 7, 3), 100, np.uint8)).numpy()
    pictures = {f"{name}.jpg": jpeg for name in ("aa", "bb", "cc")}
    train = b"user_id,image_id,class\nann,aa,1\nann,bb,2\neve,aa,3\n"
    test = b"image_id,class\ncc,4\n"

    gldv2 = inside("datasets.gldv2")
    bundle = {"federated_train.csv": train, "test.csv": test}
    zipped = archived({f"landmarks-user-160k/{n}": d for n, d in bundle.items()}, "zip")
    publish(
        gldv2,
        ("FED_GLD_SPLIT_FILE_DOWNLOAD_URL", "FED_GLD_SPLIT_FILE_BUNDLE_MD5_CHECKSUM", zipped),
        ("MINI_GLD_TRAIN_DOWNLOAD_URL", "MINI_GLD_TRAIN_SPLIT_FILE_MD5_CHECKSUM", train),
        ("MINI_GLD_TEST_DOWNLOAD_URL", "MINI_GLD_TEST_SPLIT_FILE_MD5_CHECKSUM", test),
    )
    _, md5 = put("train/images_000.tar", archived(pictures, "tar"))
    put("md5sum/train/md5.images_000.txt", md5.encode())
    monkeypatch.setattr(gldv2, "NUM_SHARD_TRAIN", 1)
    monkeypatch.setattr(gldv2.load_data, "__defaults__", (1, "cache", False, root.as_uri()))

    inaturalist = inside("datasets.inaturalist")
    users = train.replace(b"user_id", b"user_120k")
    zipped = archived(pictures, "gztar")
    publish(
        inaturalist,
        ("INAT_TRAIN_DOWNLOAD_URL", "INAT_TRAIN_SPLIT_FILE_MD5_CHECKSUM", users),
        ("INAT_TEST_DOWNLOAD_URL", "INAT_TEST_SPLIT_FILE_MD5_CHECKSUM", test),
        ("INAT_TRAIN_IMAGE_URL", "INAT_TRAIN_IMAGE_MD5_CHECKSUM", zipped),
        ("INAT_TEST_IMAGE_URL", "INAT_TEST_IMAGE_MD5_CHECKSUM", zipped),
    )
    return root


@pytest.mark.parametrize("name", ["gldv2", "inaturalist"])
def test_large_images_are_fetched_by_tffs_loader(
    name: str, published: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(DataUnavailable, match=r"hundreds of GB, by download: true, or put the"):
        made(cache, name)
    data = made(cache, name, download=True, size=[2, 2])
    assert data.names == ("ann", "eve")
    assert data.label_counts[:, :5].tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 1, 0]]
    assert data.test.y.tolist() == [4]
    np.testing.assert_allclose(data.train.x[:], 100 / 255, atol=1e-6)
    kept = {"gld23k", "gld160k"} if name == "gldv2" else {"USER_120K", "inaturalist_images"}
    there = {file.name for file in cache.iterdir()}
    assert there - {"load_data.log"} == {*kept, "decoded"}  # TFF's loader of gldv2 writes that log
    shutil.rmtree(published)
    assert made(cache, name).names == ("ann", "eve")  # from the cache


def test_a_failed_download_of_large_images_leaves_nothing(published: Path, tmp_path: Path) -> None:
    (published / "train/images_000.tar").unlink()
    with pytest.raises(
        DataUnavailable, match="gldv2 is not in the data cache and could not be dow"
    ):
        made(tmp_path / "cache", "gldv2", download=True)
    assert list((tmp_path / "cache").iterdir()) == []


def dataset_folder(name: str, folder: str) -> str:
    return folder.upper() if name == "inaturalist" else folder


def test_broken_records_are_named(tff: Any, tmp_path: Path) -> None:
    records(tmp_path / "gld23k" / "test.tfRecord", [], [])
    (tmp_path / "gld23k" / "train").mkdir()
    (tmp_path / "gld23k" / "train" / "ann").write_bytes(b"garbage that is no record")
    with pytest.raises(DataError, match="is not what TFF's loader of gldv2 makes: "):
        made(tmp_path, "gldv2")
