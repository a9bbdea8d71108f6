"""TFF's text data sets, read by TFF's loaders from small files that TFF writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import write_clients
from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.tff.shakespeare import ALPHABET
from pytest_federated.data.datasets.tff.stackoverflow import shares
from tff_data import as_they_stand, inside, made

pytestmark = pytest.mark.usefixtures("offline")


@pytest.mark.parametrize(
    "name", ["cifar100", "shakespeare", "stackoverflow", "celeba", "gldv2", "inaturalist"]
)
def test_without_a_network_the_message_says_what_to_do(name: str, tff: Any, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as error:
        made(tmp_path, name)
    said = str(error.value)
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


# shakespeare

SNIPPETS = {
    "HAMLET": [b"To be, or not to be: that is the question.", b"", b"\xc3\xa9 {~} unknown"],
    "MACBETH": [b"Is this a dagger which I see before me,\nThe handle toward my hand? " * 3],
}
SPOKEN = {"HAMLET": [b"The rest is silence."], "MACBETH": [b"Out!", b"Out, brief candle!"]}


@pytest.mark.parametrize("length", [80, 7])
def test_shakespeare_is_cut_as_by_tff(tff: Any, length: int, tmp_path: Path) -> None:
    splits = {
        "train": {name: {"snippets": said} for name, said in SNIPPETS.items()},
        "test": {name: {"snippets": said} for name, said in SPOKEN.items()},
    }
    write_clients(tmp_path / "shakespeare.sqlite", splits)
    data = made(tmp_path, "shakespeare", length=length)
    assert (data.names, data.num_classes, data.task) == (("HAMLET", "MACBETH"), 90, "tokens")
    preprocessing = inside("baselines.shakespeare.char_prediction_preprocessing")
    process = preprocessing.create_preprocess_fn(as_they_stand(tff), length)
    train, test = tff.simulation.datasets.shakespeare.load_data(str(tmp_path))
    for client, name in enumerate(data.names):
        theirs = list(process(train.create_tf_dataset_for_client(name)).as_numpy_iterator())
        _are_same_tokens(data.examples(client), theirs)
    theirs = [
        list(process(test.create_tf_dataset_for_client(name)).as_numpy_iterator())
        for name in data.names
    ]
    _are_same_tokens(data.test, [pair for of_role in theirs for pair in of_role])
    for client, of_role in enumerate(theirs):
        _are_same_tokens(data.test_examples(client), of_role)


def test_shakespeare_characters_are_those_of_tff(tff: Any) -> None:
    theirs = inside("baselines.shakespeare.char_prediction_preprocessing").CHAR_VOCAB
    assert list(ALPHABET) == theirs


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


def test_stackoverflow_tags_are_encoded_as_by_tff(tff: Any, posts: Path) -> None:
    data = made(posts, "stackoverflow", words=6, tags=2)
    assert (data.names, data.num_classes, data.task) == (("1", "22"), 2, "tags")
    preprocessing = inside("baselines.stackoverflow.tag_prediction_preprocessing")
    process = preprocessing.create_preprocess_fn(
        as_they_stand(tff), WORDS[:6], ["sorting", "python"]
    )
    train, _, _ = tff.simulation.datasets.stackoverflow.load_data(str(posts))
    for client, name in enumerate(data.names):
        ((x, y),) = process(train.create_tf_dataset_for_client(name)).as_numpy_iterator()
        ours = data.examples(client)
        np.testing.assert_allclose(ours.x, x, rtol=1e-6)
        np.testing.assert_array_equal(ours.y, y)
        assert (ours.x.dtype, ours.y.dtype) == (np.float32, np.int8)


def test_stackoverflow_words_are_those_of_tff(tff: Any, posts: Path) -> None:
    data = made(posts, "stackoverflow", predict="words", words=5, length=6)
    assert (data.num_classes, data.task) == (9, "tokens")
    preprocessing = inside("baselines.stackoverflow.word_prediction_preprocessing")
    process = preprocessing.create_preprocess_fn(as_they_stand(tff), WORDS[:5], 6)
    train, _, _ = tff.simulation.datasets.stackoverflow.load_data(str(posts))
    for client, name in enumerate(data.names):
        theirs = list(process(train.create_tf_dataset_for_client(name)).as_numpy_iterator())
        _are_same_tokens(data.examples(client), theirs)


def test_parts_of_stackoverflow_can_be_read(posts: Path) -> None:
    assert made(posts, "stackoverflow", most=2).sizes.tolist() == [2, 2]
    assert len(made(posts, "stackoverflow").test) == 11
    words = made(posts, "stackoverflow", test_clients=2, predict="words", length=3).test
    ids = {word: i + 1 for i, word in enumerate(WORDS)}
    begin, unknown = len(WORDS) + 2, len(WORDS) + 1
    assert words.x[:].tolist() == [[begin, ids["list"], unknown]] * 2


@pytest.mark.parametrize("what", ["word_count", "tag_count"])
def test_changed_stackoverflow_vocabularies_are_read_again(
    what: str, posts: Path, tmp_path: Path
) -> None:
    for file in posts.rglob("stackoverflow.*"):
        target = tmp_path / file.relative_to(posts)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    file = tmp_path / "datasets" / f"stackoverflow.{what}"
    before = made(tmp_path, "stackoverflow")
    other = "java 9\npython 8\n" if what == "word_count" else '{"css": 9, "java": 2}'
    file.write_text(other)
    after = made(tmp_path, "stackoverflow")  # what was decoded with others is not used
    assert (after.train.x.shape, after.num_classes) != (before.train.x.shape, before.num_classes)
    file.write_text("\n \n")
    with pytest.raises(DataError, match=rf"stackoverflow\.{what} is not the {what} of Stack Over"):
        made(tmp_path, "stackoverflow")
    file.unlink()
    with pytest.raises(DataUnavailable, match=rf"{what} is not in the data cache and could not be"):
        made(tmp_path, "stackoverflow")


def test_words_are_counted_as_shares() -> None:
    ids = np.array([[0, 2, 2, -1], [-1, -1, -1, -1], [1, 1, 1, 1]], np.int16)
    assert shares(ids, 3).tolist() == [
        [np.float32(1 / 3), 0, np.float32(2 / 3)],
        [0, 0, 0],
        [0, 1, 0],
    ]
