"""Federated Shakespeare, through TFF's own loader."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Facts, datasets
from pytest_federated.data.datasets.external import in_cache
from pytest_federated.data.datasets.tff.published import Published
from pytest_federated.tff.messages import Fields

# TFF's characters: the one at position i has the id i + 1.
ALPHABET = (
    "dhlptx@DHLPTX $(,048cgkoswCGKOSW[_#'/37;?bfjnrvzBFJNRVZ\"&*.26:\naeimquyAEIMQUY]!%)-159\r"
)
PAD, UNKNOWN, BEGIN, END = 0, len(ALPHABET) + 1, len(ALPHABET) + 2, len(ALPHABET) + 3
_CLASSES = len(ALPHABET) + 4


@datasets(
    "shakespeare",
    task="tokens",
    has_test_set=True,
    reads=in_cache("shakespeare.sqlite"),
    facts=Facts(
        examples="16,068 + 2,356 snippets for testing, each of several examples",
        shape="80 characters",
        labels=f"{_CLASSES} characters, one for each position",
        natural="715 speaking roles",
        license="public domain",
        files="TFF's download",
    ),
    offline_twin="shakespeare_roles",
)
def shakespeare(
    cache: Cache,
    *,
    length: Annotated[int, Field(ge=1, le=1000, description="Characters of an example.")] = 80,
) -> Dataset:
    """Federated Shakespeare of TFF: which character comes next, at every position?

    `x` is int32 (length,), the ids of the characters of a piece of a speech; `y` is int32
    (length,), the id of the character after each of them, -1 after the end of the piece (padding).
    Ids are TFF's: 0 is padding, 1 to 86 the characters, then unknown, begin and end of a speech:
    90 labels. The natural clients are the roles; the test set holds the test speeches of those that
    take part, each tested on its own. Speeches are cut into pieces as in TFF's baseline task.
    Downloaded once into the cache folder.

    Source: H. B. McMahan et al., Communication-Efficient Learning of Deep Networks from
    Decentralized Data, AISTATS 2017, arXiv:1602.05629; S. Caldas et al., LEAF, arXiv:1812.01097;
    https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/shakespeare

    Raises:
        DataUnavailable: it is not in the cache, and cannot be downloaded.
        DataError: the cached file is not what TFF wrote.

    """

    def load(tff_datasets: Any, folder: str) -> tuple[Any, Any]:
        return tff_datasets.shakespeare.load_data(folder)

    ids = np.full(256, UNKNOWN, np.int32)
    ids[np.frombuffer(ALPHABET.encode("ascii"), np.uint8)] = np.arange(1, len(ALPHABET) + 1)

    def convert(rows: Fields) -> tuple[Examples, np.ndarray]:
        pieces = [_pieces(ids[np.frombuffer(s, np.uint8)], length) for s in rows["snippets"]]
        return next_of(np.concatenate(pieces)), np.array([len(p) for p in pieces])

    published = Published("shakespeare", "Shakespeare", "shakespeare.sqlite", load)
    return published.dataset(cache, f"characters-{length}", _CLASSES, convert, task="tokens")


def _pieces(text: np.ndarray, length: int) -> np.ndarray:
    """Cuts a speech, with its begin and end, into padded pieces, int32 (n, length + 1)."""
    full = np.concatenate([[BEGIN], text, [END]])
    padded = np.pad(full, (0, -len(full) % (length + 1)), constant_values=PAD)
    return padded.reshape(-1, length + 1).astype(np.int32)


def next_of(tokens: np.ndarray) -> Examples:
    """Returns the first t of int (n, t + 1) tokens, labeled with the next; -1 for padding (0)."""
    after = tokens[:, 1:]
    return Examples(tokens[:, :-1], np.where(after == PAD, -1, after))
