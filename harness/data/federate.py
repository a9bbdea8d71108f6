"""From a data set and a split to clients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.data.datasets import Cache, Examples, datasets
from harness.data.settings import Clients, Data
from harness.data.splits import Pool, assign, splits
from harness.errors import DataError
from harness.seeds import Stream, generator

_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class FederatedData:
    """The clients of one scenario under one seed.

    Attributes:
        train: the training examples of all clients.
        clients: for each client the int positions of its examples in `train`.
        names: the clients' names, in the same order.
        test: the common, held-out test set.
        num_classes: number of distinct labels.

    """

    train: Examples
    clients: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    test: Examples
    num_classes: int

    @property
    def sizes(self) -> np.ndarray:
        """Int (clients,): examples of each client."""
        return np.array([len(c) for c in self.clients])

    @property
    def label_counts(self) -> np.ndarray:
        """Int (clients, classes): examples of each label that each client holds."""
        return np.stack(
            [np.bincount(self.train.y[c], minlength=self.num_classes) for c in self.clients]
        )


def federate(data: Data, clients: Clients, seed: int, cache: Cache) -> FederatedData:
    """Reads the data set, holds the test set out, and deals the rest to clients.

    Raises:
        DataError: the split cannot be made of this data.
        DataUnavailable: the data is not on this machine and cannot be fetched.

    """
    dataset = datasets.entry(data.dataset).call(data.dataset, cache)
    is_natural = splits.entry(clients.split).traits.get("natural", False)
    chosen = None
    if is_natural:
        names = list(dataset.natural)
        if not names:
            raise DataError(
                f"the data set {dataset.name} has no natural clients; choose another split"
            )
        if clients.count is not None and clients.count > len(names):
            raise DataError(f"{dataset.name} has {len(names)} natural clients, not {clients.count}")
        count = clients.count or len(names)
        drawn = generator(seed, Stream.POPULATION).choice(len(names), count, replace=False)
        chosen = [names[i] for i in np.sort(drawn)]
    loaded = dataset.load(chosen)

    train, natural, test = loaded.train, loaded.natural, loaded.test
    if test is None:
        fraction = _TEST_FRACTION if data.test_fraction is None else data.test_fraction
        held_out = _stratified(train.y, fraction, generator(seed, Stream.TEST_SET))
        test, train = (
            train.select(np.flatnonzero(held_out)),
            train.select(np.flatnonzero(~held_out)),
        )
        natural = None if natural is None else natural[~held_out]
    if not len(test) or not len(train):
        raise DataError(
            f"{dataset.name} gives {len(train)} training and {len(test)} test examples; neither "
            "may be empty"
        )

    count = len(chosen) if chosen is not None else clients.count
    assert count is not None  # Clients demands it for every split but the natural one
    owner = assign(clients.split, Pool(train.y, count, natural), generator(seed, Stream.SPLIT))
    order = np.argsort(owner, kind="stable")
    positions = np.split(order, np.cumsum(np.bincount(owner, minlength=count))[:-1])
    labels = chosen if chosen is not None else [f"client-{i}" for i in range(count)]
    return FederatedData(train, tuple(positions), tuple(labels), test, dataset.num_classes)


def _stratified(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Bool (n,): a random `fraction` of the examples, in which labels keep their proportions.

    Systematic sampling: evenly spaced positions of the shuffled, then label-sorted examples
    (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, chapter 8).
    """
    n = len(labels)
    count = round(n * fraction)
    shuffled = rng.permutation(n)
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    picked = ((np.arange(count) + rng.random()) * n / max(count, 1)).astype(np.int64)
    mask = np.zeros(n, bool)
    mask[by_label[picked]] = True
    return mask
