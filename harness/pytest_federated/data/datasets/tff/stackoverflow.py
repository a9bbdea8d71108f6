"""Federated Stack Overflow, through TFF's own loader."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Callable, Literal

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
from pytest_federated.data.datasets.tff.published import Published
from pytest_federated.data.datasets.tff.shakespeare import next_of
from pytest_federated.tff.imports import import_tff

_MOST_WORDS = 512  # of a question or answer that are kept, in its own words
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
    predict: Annotated[Literal["tags", "words"], Field(description="What a model tells.")] = "tags",
    words: Annotated[
        int, Field(ge=1, le=30_000, description="The most frequent ones that are known.")
    ] = 10_000,
    tags: Annotated[Count, Field(description="The most frequent ones that are told.")] = 500,
    length: Annotated[Count, Field(description="Words of an example, to predict words.")] = 20,
    most: Annotated[Count, Field(description="Sentences of a user at most.")] = 1000,
    test_clients: Annotated[Count, Field(description="Users who make the test set.")] = 100,
) -> Dataset:
    """Federated Stack Overflow of TFF: the tags of a question, or the next word of a sentence.

    To predict `tags`, `x` is float32 (words,), the share that each known word has in a sentence and
    its title, and `y` int8 (tags,), 1 for each tag that it has. To predict `words`, `x` is int32
    (length,), the ids of a sentence's words, and `y` int32 (length,), the id of the word after each
    of them, -1 where the sentence has ended (padding). Ids are TFF's: 0 is padding, then the words
    by their frequency, unknown, begin, end. The natural clients are the users. The test set is that
    of `test_clients` users, evenly spaced among TFF's 204,088 users with test examples, who are not
    those that take part. Downloaded once into the cache folder.

    Source: TFF's Stack Overflow data, CC BY-SA 3.0; tasks of S. Reddi et al., Adaptive Federated
    Optimization, arXiv:2003.00295;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/stackoverflow

    Raises:
        DataUnavailable: not in the cache, and it cannot be downloaded.
        DataError: a cached file is not what TFF wrote.

    """

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        train, _, test = tff_datasets.stackoverflow.load_data(folder)
        return train, test

    published = Published("stackoverflow", "Stack Overflow", "stackoverflow.sqlite", load)
    published.fetch(cache.folder)
    known = _vocabulary(cache.folder, "word_count", words)
    told = _vocabulary(cache.folder, "tag_count", tags) if predict == "tags" else []
    what = hashlib.sha256(json.dumps([known, told, length, most]).encode()).hexdigest()[:16]

    def tested(names: list[str]) -> list[str]:
        at = np.linspace(0, len(names) - 1, min(test_clients, len(names))).astype(int)
        return [names[i] for i in at]

    task: TaskKind = "tags"
    if predict == "tags":
        convert, classes = _bags(known, told), len(told)

        def finish(examples: Examples) -> Examples:
            return Examples(
                Converted(examples.x, lambda rows: shares(rows, len(known))), examples.y
            )
    else:
        convert, classes, task = _sentences(known, length), len(known) + _SPECIAL, "tokens"

        def finish(examples: Examples) -> Examples:
            return examples

    return published.dataset(
        cache,
        f"{predict}-{what}",
        classes,
        convert,
        tested=tested,
        finish=finish,
        task=task,
        most=most,
    )


def _vocabulary(folder: Path, what: str, size: int) -> list[str]:
    """The most frequent words or tags, from the file that TFF unpacks beside its archive."""
    file = folder / "datasets" / f"stackoverflow.{what}"
    if not file.is_file():
        try:
            counts = import_tff().simulation.datasets.stackoverflow
            getattr(counts, f"load_{what}s")(str(folder))
        except Exception as bad:  # Keras's downloads raise what they like
            raise DataUnavailable(
                f"stackoverflow's {what} is not in the data cache and could not be downloaded; run "
                f"once while online, or put datasets/{file.name} into the folder that "
                "--fed-data-cache names"
            ) from bad
    try:
        text = file.read_text(encoding="utf-8")
        if what == "tag_count":
            counted = {str(name): int(count) for name, count in json.loads(text).items()}
            names = sorted(counted, key=lambda name: counted[name], reverse=True)
        else:
            names = [line.split()[0] for line in text.splitlines()]
    except (OSError, ValueError, IndexError, AttributeError) as bad:
        raise DataError(
            f"{file} is not the {what} of Stack Overflow that TFF publishes; delete it to have it "
            "fetched again"
        ) from bad
    return names[:size]


def _bags(words: list[str], tags: list[str]) -> Callable[[Any], Examples]:
    """Rows to int16 (n, 512) ids of known words, -1 for none, and int8 (n, tags)."""
    word_ids = {word.encode(): i for i, word in enumerate(words)}
    tag_ids = {tag.encode(): i for i, tag in enumerate(tags)}

    def convert(rows: Any) -> Examples:
        x = np.full((len(rows["tokens"]), _MOST_WORDS), -1, np.int16)
        y = np.zeros((len(x), len(tags)), np.int8)
        for row, (tokens, title) in enumerate(zip(rows["tokens"], rows["title"])):
            known = [word_ids[w] for w in (tokens + b" " + title).split() if w in word_ids]
            x[row, : len(known)] = known[:_MOST_WORDS]
            of = [tag_ids[t] for t in rows["tags"][row].split(b"|") if t in tag_ids]
            y[row, of] = 1
        return Examples(x, y)

    return convert


def shares(ids: np.ndarray, words: int) -> np.ndarray:
    """Float32 (n, words): of int (n, t) ids, -1 for none, the share that each has in its row."""
    at = np.arange(len(ids))[:, np.newaxis] * (words + 1) + ids + 1
    counts = np.bincount(at.ravel(), minlength=len(ids) * (words + 1))
    counts = counts.reshape(len(ids), words + 1)[:, 1:].astype(np.float32)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _sentences(words: list[str], length: int) -> Callable[[Any], Examples]:
    """Rows to the words of sentences, and the word after each."""
    ids = {word.encode(): i + 1 for i, word in enumerate(words)}
    unknown, begin, end = (len(words) + i for i in (1, 2, 3))

    def convert(rows: Any) -> Examples:
        tokens = np.zeros((len(rows["tokens"]), length + 1), np.int32)
        for row, sentence in enumerate(rows["tokens"]):
            said = [ids.get(word, unknown) for word in sentence.split(b" ")[:length]]
            said = [begin, *said, *([end] if len(said) < length else [])]
            tokens[row, : len(said)] = said
        return next_of(tokens)

    return convert
