"""TFF's data sets through its own loaders, on small files that TFF writes in their format."""

from __future__ import annotations

import importlib
import io
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from support import write_clients

from harness.data.datasets import Cache, datasets
from harness.data.datasets.celeba import ATTRIBUTES
from harness.data.datasets.shakespeare import ALPHABET
from harness.data.datasets.stackoverflow import shares
from harness.data.federate import FederatedData, federate
from harness.data.settings import Clients, Data
from harness.errors import DataError, DataUnavailable

RNG = np.random.default_rng(0)
INSIDE = "tensorflow_federated.python.simulation"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(url: Any, timeout: float = 0) -> io.BytesIO:
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


def made(cache: Path, name: str, count: Any = None, **keys: Any) -> FederatedData:
    data = Data.model_validate({"dataset": {"kind": name, **keys}})
    clients = Clients.model_validate({"split": "natural", "count": count})
    return federate(data, clients, 0, Cache(cache))


def inside(module: str) -> Any:
    """A module of TFF that its public API leaves out."""
    return importlib.import_module(f"{INSIDE}.{module}")


@pytest.mark.parametrize(
    "name", ["cifar100", "shakespeare", "stackoverflow", "celeba", "gldv2", "inaturalist"]
)
def test_what_is_said_offline(name: str, tff: Any, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as bad:
        made(tmp_path, name)
    said = str(bad.value)
    assert said.startswith(f"{name} is not in the data cache")
    assert "\n" not in said
    if name in ("gldv2", "inaturalist"):
        assert f"tff.simulation.datasets.{name}.load_data makes" in said
    else:
        assert said.endswith(
            f"; run once while online, or put {name}.sqlite into the folder that --fed-data-cache "
            "names"
        )
    assert list(tmp_path.iterdir()) == []


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
def test_cifar100(cifar: tuple[Path, Any], labels: str, key: str, classes: int) -> None:
    folder, splits = cifar
    data = made(folder, "cifar100", labels=labels)
    assert (data.names, data.num_classes, data.task) == (("0", "1", "2"), classes, "label")
    for client, name in enumerate(data.names):
        examples = data.examples(client)
        written = splits["train"][name]
        np.testing.assert_array_equal(examples.x, (written["image"] / 255).astype(np.float32))
        np.testing.assert_array_equal(examples.y, written[key])
        assert (examples.x.dtype, examples.y.dtype) == (np.float32, np.int32)
    # All test clients, whichever take part: they are others.
    some = made(folder, "cifar100", count=1, labels=labels)
    assert len(some.train) < 5
    test = [splits["test"][name] for name in ("0", "1")]
    np.testing.assert_array_equal(some.test.y, np.concatenate([t[key] for t in test]))
    whole = np.concatenate([t["image"] for t in test]) / 255
    np.testing.assert_array_equal(some.test.x[:], whole.astype(np.float32))


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
def test_celeba(faces: tuple[Path, Any], attribute: str) -> None:
    folder, splits = faces
    data = made(folder, "celeba", attribute=attribute)
    assert data.names == ("12", "7")
    for client, name in enumerate(data.names):
        written = splits["split_by_examples_train"][name]
        examples = data.examples(client)
        np.testing.assert_array_equal(examples.x, (written["image"] / 255).astype(np.float32))
        if attribute == "all":
            told = np.stack([written[a] for a in ATTRIBUTES], axis=1)
            np.testing.assert_array_equal(examples.y, told)
            assert (data.task, data.num_classes) == ("tags", 40)
        else:
            np.testing.assert_array_equal(examples.y, written[attribute])
            assert (data.task, data.num_classes) == ("label", 2)
    tests = [splits["split_by_examples_test"][name]["image"] for name in data.names]
    assert len(data.test) == 5
    np.testing.assert_array_equal(data.test.x[:], (np.concatenate(tests) / 255).astype(np.float32))


def test_celeba_attributes_are_those_of_tff(tff: Any) -> None:
    assert list(ATTRIBUTES) == inside("datasets.celeba").ATTRIBUTE_NAMES
    with pytest.raises(ValueError, match="did you mean 'smiling'"):
        Data.model_validate({"dataset": {"kind": "celeba", "attribute": "smilling"}})


# shakespeare

SNIPPETS = {
    "HAMLET": [b"To be, or not to be: that is the question.", b"", b"\xc3\xa9 {~} unknown"],
    "MACBETH": [b"Is this a dagger which I see before me,\nThe handle toward my hand? " * 3],
}
SPOKEN = {"HAMLET": [b"The rest is silence."], "MACBETH": [b"Out!", b"Out, brief candle!"]}


@pytest.mark.parametrize("length", [80, 7])
def test_shakespeare_is_cut_as_tff_does_it(tff: Any, length: int, tmp_path: Path) -> None:
    splits = {
        "train": {name: {"snippets": said} for name, said in SNIPPETS.items()},
        "test": {name: {"snippets": said} for name, said in SPOKEN.items()},
    }
    write_clients(tmp_path / "shakespeare.sqlite", splits)
    data = made(tmp_path, "shakespeare", length=length)
    assert (data.names, data.num_classes, data.task) == (("HAMLET", "MACBETH"), 90, "tokens")
    preprocessing = inside("baselines.shakespeare.char_prediction_preprocessing")
    process = preprocessing.create_preprocess_fn(_as_they_stand(tff), length)
    train, test = tff.simulation.datasets.shakespeare.load_data(str(tmp_path))
    for client, name in enumerate(data.names):
        theirs = list(process(train.create_tf_dataset_for_client(name)).as_numpy_iterator())
        _are_same_tokens(data.examples(client), theirs)
    theirs = [
        pair
        for name in data.names
        for pair in process(test.create_tf_dataset_for_client(name)).as_numpy_iterator()
    ]
    _are_same_tokens(data.test, theirs)


def test_shakespeare_characters_are_those_of_tff(tff: Any) -> None:
    theirs = inside("baselines.shakespeare.char_prediction_preprocessing").CHAR_VOCAB
    assert list(ALPHABET) == theirs


def _as_they_stand(tff: Any) -> Any:
    """TFF's preprocessing of a client, in the order of its file and in one batch."""
    return tff.simulation.baselines.ClientSpec(1, 1000, shuffle_buffer_size=1)


def _are_same_tokens(ours: Any, theirs: Any) -> None:
    x = np.concatenate([x for x, _ in theirs])
    y = np.concatenate([y for _, y in theirs])
    np.testing.assert_array_equal(ours.x[:], x)
    np.testing.assert_array_equal(ours.y, np.where(y == 0, -1, y))
    assert (np.asarray(ours.x[:]).dtype, ours.y.dtype) == (np.int32, np.int32)


# stackoverflow

WORDS = ["the", "a", "sort", "list", "python", "how", "in", "?"]
TAGS = {"python": 7, "sorting": 9, "css": 3}


@pytest.fixture(scope="module")
def posts(tff: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def client(said: list[bytes], tags: list[bytes]) -> dict[str, Any]:
        n = len(said)
        return {
            **{"tokens": said, "tags": tags, "title": [b"how to sort", *[b"a title"] * (n - 1)]},
            **{"creation_date": [b"2010"] * n, "score": np.arange(n), "type": [b"question"] * n},
        }

    ann = client(
        [b"how to sort a list in python ?", b"", b"use the sort  sort of the list " * 4],
        [b"python|sorting", b"haskell", b"css|css|java"],
    )
    bob = client([b"unknown words only", b"the ?"], [b"css", b"python"])
    folder = tmp_path_factory.mktemp("stackoverflow")
    splits = {
        "train": {"1": ann, "22": bob},
        "heldout": {"10": bob},
        "test": {str(i): client([f"list {i}".encode()], [b"css"]) for i in range(30, 41)},
    }
    write_clients(folder / "stackoverflow.sqlite", splits)
    (folder / "datasets").mkdir()
    counted = "".join(f"{word} {100 - i}\n" for i, word in enumerate(WORDS))
    (folder / "datasets" / "stackoverflow.word_count").write_text(counted)
    (folder / "datasets" / "stackoverflow.tag_count").write_text(json.dumps(TAGS))
    return folder


def test_stackoverflow_tags_are_told_as_tff_does_it(tff: Any, posts: Path) -> None:
    data = made(posts, "stackoverflow", words=6, tags=2)
    assert (data.names, data.num_classes, data.task) == (("1", "22"), 2, "tags")
    preprocessing = inside("baselines.stackoverflow.tag_prediction_preprocessing")
    process = preprocessing.create_preprocess_fn(
        _as_they_stand(tff), WORDS[:6], ["sorting", "python"]
    )
    train, _, _ = tff.simulation.datasets.stackoverflow.load_data(str(posts))
    for client, name in enumerate(data.names):
        ((x, y),) = process(train.create_tf_dataset_for_client(name)).as_numpy_iterator()
        ours = data.examples(client)
        np.testing.assert_allclose(ours.x, x, rtol=1e-6)
        np.testing.assert_array_equal(ours.y, y)
        assert (ours.x.dtype, ours.y.dtype) == (np.float32, np.int8)


def test_stackoverflow_words_follow_as_tff_has_them(tff: Any, posts: Path) -> None:
    data = made(posts, "stackoverflow", predict="words", words=5, length=6)
    assert (data.num_classes, data.task) == (9, "tokens")
    preprocessing = inside("baselines.stackoverflow.word_prediction_preprocessing")
    process = preprocessing.create_preprocess_fn(_as_they_stand(tff), WORDS[:5], 6)
    train, _, _ = tff.simulation.datasets.stackoverflow.load_data(str(posts))
    for client, name in enumerate(data.names):
        theirs = list(process(train.create_tf_dataset_for_client(name)).as_numpy_iterator())
        _are_same_tokens(data.examples(client), theirs)


def test_stackoverflow_takes_some_of_it(posts: Path) -> None:
    assert made(posts, "stackoverflow", most=2).sizes.tolist() == [2, 2]
    assert len(made(posts, "stackoverflow").test) == 11
    words = made(posts, "stackoverflow", test_clients=2, predict="words", length=3).test
    ids = {word: i + 1 for i, word in enumerate(WORDS)}
    begin, unknown = len(WORDS) + 2, len(WORDS) + 1
    assert words.x[:].tolist() == [[begin, ids["list"], unknown]] * 2


@pytest.mark.parametrize("what", ["word_count", "tag_count"])
def test_stackoverflow_vocabularies(what: str, posts: Path, tmp_path: Path) -> None:
    for file in posts.rglob("stackoverflow.*"):
        target = tmp_path / file.relative_to(posts)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    file = tmp_path / "datasets" / f"stackoverflow.{what}"
    before = made(tmp_path, "stackoverflow")
    other = "java 9\npython 8\n" if what == "word_count" else '{"css": 9, "java": 2}'
    file.write_text(other)
    after = made(tmp_path, "stackoverflow")  # what was unpacked with others is not taken
    assert (after.train.x.shape, after.num_classes) != (before.train.x.shape, before.num_classes)
    file.write_text("\n \n")
    with pytest.raises(DataError, match=rf"stackoverflow\.{what} is not the {what} of Stack Over"):
        made(tmp_path, "stackoverflow")
    file.unlink()
    with pytest.raises(DataUnavailable, match=rf"{what} is not in the data cache and could not be"):
        made(tmp_path, "stackoverflow")


def test_shares_of_words() -> None:
    ids = np.array([[0, 2, 2, -1], [-1, -1, -1, -1], [1, 1, 1, 1]], np.int16)
    assert shares(ids, 3).tolist() == [
        [np.float32(1 / 3), 0, np.float32(2 / 3)],
        [0, 0, 0],
        [0, 1, 0],
    ]


# gldv2 and inaturalist


def records(file: Path, pictures: list[np.ndarray], labels: list[int]) -> None:
    """A TFRecord file as TFF's loaders write them."""
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
def test_records_of_large_images(
    tff: Any, name: str, keys: dict[str, Any], folder: str, classes: int, tmp_path: Path
) -> None:
    def flat(grey: int, *shape: int) -> np.ndarray:
        return np.full(shape, grey, np.uint8)

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
    greys = np.asarray(loaded.train.x)[:, 0, 0] * 255
    np.testing.assert_allclose(greys, np.repeat([[200], [0], [100]], 3, axis=1), atol=2)
    assert loaded.test is not None
    assert loaded.test.x.shape == (2, 4, 3, 3)
    assert loaded.test.y.tolist() == [0, 1]
    # Unpacked once: the records are not read again.
    for client in written:
        (tmp_path / dataset_folder(name, folder) / "train" / client).write_bytes(b"")
    again = datasets.entry(entry).call(entry, Cache(tmp_path)).load(["ann"])
    assert again.train.y.tolist() == [4, 5]


def dataset_folder(name: str, folder: str) -> str:
    return folder.upper() if name == "inaturalist" else folder


def test_broken_records(tff: Any, tmp_path: Path) -> None:
    records(tmp_path / "gld23k" / "test.tfRecord", [], [])
    (tmp_path / "gld23k" / "train").mkdir()
    (tmp_path / "gld23k" / "train" / "ann").write_bytes(b"garbage that is no record")
    with pytest.raises(DataError, match="is not what TFF's loader of gldv2 makes: "):
        made(tmp_path, "gldv2")
