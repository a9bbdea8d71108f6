"""Federated Stack Overflow, through TFF's own loader."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError, DataUnavailable
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Facts,
    TaskKind,
    datasets,
)
from pytest_federated.data.datasets.external import in_cache
from pytest_federated.data.datasets.rows import Converted
from pytest_federated.data.datasets.tff.published import Convert, Published
from pytest_federated.data.datasets.tff.shakespeare import next_of
from pytest_federated.tff.imports import import_tff
from pytest_federated.tff.messages import Fields

_MOST_WORDS = 512  # that are kept of a sentence and its title
_SPECIAL = 4  # padding, unknown word, begin and end of a sentence

Count = Annotated[int, Field(ge=1)]


@datasets(
    "stackoverflow",
    has_test_set=True,
    reads=in_cache(
        "stackoverflow.sqlite",
        "datasets/stackoverflow.word_count",
        "datasets/stackoverflow.tag_count",
    ),
    facts=Facts(
        examples="135,818,730 sentences + 16,586,035 for testing",
        shape="10,000 shares of words; with `predict: words` 20 words",
        labels="500 tags; with `predict: words` 10,004 words, one for each position",
        natural="342,477 users",
        license="CC BY-SA 3.0",
        files="TFF's download",
    ),
)
def stackoverflow(
    cache: Cache,
    *,
    predict: Annotated[Literal["tags", "words"], Field(description="What is predicted.")] = "tags",
    words: Annotated[
        int, Field(ge=1, le=30_000, description="Size of the vocabulary: the most frequent words.")
    ] = 10_000,
    tags: Annotated[Count, Field(description="Number of tags: the most frequent ones.")] = 500,
    length: Annotated[Count, Field(description="Words of an example, to predict words.")] = 20,
    most: Annotated[Count, Field(description="Sentences of a user, at most.")] = 1000,
    test_clients: Annotated[Count, Field(description="Users whose test examples are used.")] = 100,
) -> Dataset:
    """Federated Stack Overflow of TFF: the tags of a question, or the next word of a sentence.

    To predict `tags`, `x` is float32 (words,), the share of each word of the vocabulary in a
    sentence and its title, and `y` int8 (tags,), 1 for each of its tags. To predict `words`, `x` is
    int32 (length,), the ids of a sentence's words, and `y` int32 (length,), the id of the word
    after each of them, -1 after the end of the sentence (padding). Ids are TFF's: 0 is padding,
    then the words by their frequency, unknown, begin, end. The natural clients are the users. The
    test set holds the test examples of `test_clients` users, evenly spaced among TFF's 204,088
    users with test examples, who are not those that take part. Downloaded once into the cache
    folder.

    Source: TFF's Stack Overflow data, CC BY-SA 3.0; tasks of S. Reddi et al., Adaptive Federated
    Optimization, arXiv:2003.00295;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/stackoverflow

    Raises:
        DataUnavailable: it is not in the cache, and cannot be downloaded.
        DataError: a cached file is not what TFF wrote.

    """

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        train, _, test = tff_datasets.stackoverflow.load_data(folder)
        return train, test

    published = Published("stackoverflow", "Stack Overflow", "stackoverflow.sqlite", load)
    published.fetch(cache.folder)
    vocabulary = _most_frequent(cache.folder, "word_count", words)
    labels = _most_frequent(cache.folder, "tag_count", tags) if predict == "tags" else []
    form = json.dumps([vocabulary, labels, length, most]).encode()
    digest = hashlib.sha256(form).hexdigest()[:16]

    def evenly_spaced(names: list[str]) -> list[str]:
        positions = np.linspace(0, len(names) - 1, min(test_clients, len(names))).astype(int)
        return [names[i] for i in positions]

    task: TaskKind = "tags"
    if predict == "tags":
        convert, classes = _bags_of_words(vocabulary, labels), len(labels)

        def finish(examples: Examples) -> Examples:
            x = Converted(examples.x, lambda rows: shares(rows, len(vocabulary)))
            return Examples(x, examples.y)
    else:
        convert, task = _sentences(vocabulary, length), "tokens"
        classes = len(vocabulary) + _SPECIAL

        def finish(examples: Examples) -> Examples:
            return examples

    return published.dataset(
        cache,
        f"{predict}-{digest}",
        classes,
        convert,
        choose_tested=evenly_spaced,
        finish=finish,
        task=task,
        max_rows=most,
    )


def _most_frequent(folder: Path, what: str, size: int) -> list[str]:
    """Returns the most frequent words or tags, from the file that TFF unpacks."""
    file = folder / "datasets" / f"stackoverflow.{what}"
    if not file.is_file():
        try:
            counts = import_tff().simulation.datasets.stackoverflow
            getattr(counts, f"load_{what}s")(str(folder))
        except Exception as error:  # Keras's downloads raise errors of many kinds
            raise DataUnavailable(
                f"stackoverflow's {what} is not in the data cache and could not be downloaded (the "
                f"cache: {folder}); run once while online, or put datasets/{file.name} into the "
                "folder that --fed-data-cache names",
                here=f"the cache: {folder}",
            ) from error
    try:
        text = file.read_text(encoding="utf-8")
        if what == "tag_count":
            counted = {str(name): int(count) for name, count in json.loads(text).items()}
            names = sorted(counted, key=lambda name: counted[name], reverse=True)
        else:
            names = [line.split()[0] for line in text.splitlines()]
    except (OSError, ValueError, IndexError, AttributeError) as error:
        raise DataError(
            f"{file} is not the {what} of Stack Overflow that TFF publishes; delete it to have it "
            "fetched again"
        ) from error
    return names[:size]


def _bags_of_words(words: list[str], tags: list[str]) -> Convert:
    """Returns a function from rows to int16 (n, 512) word ids, -1 for none, and int8 (n, tags)."""
    word_ids = {word.encode(): i for i, word in enumerate(words)}
    tag_ids = {tag.encode(): i for i, tag in enumerate(tags)}

    def convert(rows: Fields) -> tuple[Examples, int]:
        x = np.full((len(rows["tokens"]), _MOST_WORDS), -1, np.int16)
        y = np.zeros((len(x), len(tags)), np.int8)
        for row, (tokens, title) in enumerate(zip(rows["tokens"], rows["title"])):
            ids = [word_ids[w] for w in (tokens + b" " + title).split() if w in word_ids]
            x[row, : len(ids)] = ids[:_MOST_WORDS]
            tagged = [tag_ids[t] for t in rows["tags"][row].split(b"|") if t in tag_ids]
            y[row, tagged] = 1
        return Examples(x, y), 1

    return convert


def shares(ids: np.ndarray, words: int) -> np.ndarray:
    """Returns float32 (n, words), the share of each id in its row of int (n, t); -1 is no id."""
    cells = np.arange(len(ids))[:, np.newaxis] * (words + 1) + ids + 1
    counts = np.bincount(cells.ravel(), minlength=len(ids) * (words + 1))
    counts = counts.reshape(len(ids), words + 1)[:, 1:].astype(np.float32)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _sentences(words: list[str], length: int) -> Convert:
    """Returns a function from rows to the words of sentences, and the word after each."""
    ids = {word.encode(): i + 1 for i, word in enumerate(words)}
    unknown, begin, end = (len(words) + i for i in (1, 2, 3))

    def convert(rows: Fields) -> tuple[Examples, int]:
        tokens = np.zeros((len(rows["tokens"]), length + 1), np.int32)
        for row, sentence in enumerate(rows["tokens"]):
            inner = [ids.get(word, unknown) for word in sentence.split(b" ")[:length]]
            padded = [begin, *inner, *([end] if len(inner) < length else [])]
            tokens[row, : len(padded)] = padded
        return next_of(tokens), 1

    return convert
