"""From a data set and a split to clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Callable, Optional

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Cache, Examples, TaskKind, classes_of, datasets
from pytest_federated.data.datasets.validity import load_valid
from pytest_federated.data.population import Population
from pytest_federated.data.schema import Data, Partition
from pytest_federated.data.shifts.shift import Part, apply
from pytest_federated.data.sizes.size import draw
from pytest_federated.data.splits.partition import NO_ONE, Pool, assign, splits

_TRAIN, _VALIDATION, _TEST = range(3)


@dataclass(frozen=True)
class FederatedData:
    """The clients of one scenario under one seed.

    Attributes:
        train: the examples that were dealt to the clients; with `holdout: per_client`, also
            those that a client holds out.
        clients: for each client the int positions in `train` of the examples it trains on.
        names: the clients' names, in the same order.
        test: the common, held-out test set.
        num_classes: number of distinct labels.
        validation: the common, held-out validation set; None where there is none.
        client_validation: for each client the int positions in `train` of the examples that it
            holds out for validation; empty without `holdout: per_client`.
        client_test: the same for testing.
        shift: what is different about each client's examples.
        seed: what everything random came from.
        unused: examples of `train` that the split gave to no client.
        task: what the labels are.

    """

    train: Examples
    clients: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    test: Examples
    num_classes: int
    validation: Optional[Examples] = None
    client_validation: tuple[np.ndarray, ...] = ()
    client_test: tuple[np.ndarray, ...] = ()
    shift: tuple[Section, ...] = ()
    seed: int = 0
    unused: int = 0
    task: TaskKind = "label"

    @cached_property
    def sizes(self) -> np.ndarray:
        """Int (clients,): examples that each client trains on."""
        return np.array([len(c) for c in self.clients])

    @cached_property
    def population(self) -> Population:
        """The clients as samplers know them."""
        return Population(self.names, self.sizes)

    @property
    def label_counts(self) -> np.ndarray:
        """Int (clients, classes): examples of each label that each client trains on.

        With labels as the client has them: after the shifts that change labels. Where an example
        has several, each of them counts, but padding does not.
        """
        return np.stack(
            [
                np.bincount(
                    classes_of(
                        self._shifted("labels", self.train.y[own], client, _TRAIN), self.task
                    ),
                    minlength=self.num_classes,
                )
                for client, own in enumerate(self.clients)
            ]
        )

    def examples(self, client: int, rng: Optional[np.random.Generator] = None) -> Examples:
        """What a client trains on, with its shifts, in the order of its positions.

        With `rng` also with what the data set changes at random in training.
        """
        return self._of(self.clients, client, _TRAIN, rng)

    def validation_examples(self, client: int) -> Examples:
        """What a client holds out for validation, with its shifts."""
        return self._of(self.client_validation, client, _VALIDATION)

    def test_examples(self, client: int) -> Examples:
        """What a client holds out for testing, with its shifts."""
        return self._of(self.client_test, client, _TEST)

    def tested_by_client(self) -> Iterator[tuple[int, Examples]]:
        """What a model of each client's own is tested on: what it holds out, or the test set."""
        for client in range(len(self.clients)):
            examples = self.test_examples(client) if self.client_test else self.test
            if len(examples):
                yield client, examples

    def _of(
        self,
        positions: Sequence[np.ndarray],
        client: int,
        part: int,
        rng: Optional[np.random.Generator] = None,
    ) -> Examples:
        own = self.train.take(positions[client], rng)
        if not self.shift:
            return own
        return Examples(
            self._shifted("features", own.x, client, part),
            self._shifted("labels", own.y, client, part),
        )

    def _shifted(self, of: Part, values: np.ndarray, client: int, part: int) -> np.ndarray:
        if not self.shift:
            return values
        shifted = apply(
            self.shift, of, values, client, len(self.clients), self.num_classes, self.seed, part
        )
        if of == "features":
            return shifted
        if self.task == "tags" and shifted is not values:
            raise DataError("shifts of labels are for examples with labels; these have tags")
        return np.where(values < 0, values, shifted)  # padding stays padding


def federate(data: Data, clients: Partition, seed: int, cache: Cache) -> FederatedData:
    """Reads the data set, holds the test set out, and deals the rest to clients.

    Raises:
        DataError: the split cannot be made of this data.
        DataUnavailable: the data is not on this machine and cannot be fetched.

    """
    dataset = datasets.entry(data.dataset).call(data.dataset, cache)
    split = splits.entry(clients.split).spec
    if split.has_natural and not dataset.natural:
        raise DataError(f"the data set {dataset.name} has no natural clients; choose another split")
    chosen = None
    if split.natural:
        names = list(dataset.natural)
        if clients.count is not None and clients.count > len(names):
            raise DataError(f"{dataset.name} has {len(names)} natural clients, not {clients.count}")
        count = clients.count or len(names)
        drawn = generator(seed, Stream.POPULATION).choice(len(names), count, replace=False)
        chosen = [names[i] for i in np.sort(drawn)]
    loaded = load_valid(dataset, chosen)

    train, natural, test, validation = loaded.train, loaded.natural, loaded.test, None
    of_all = data.holdout == "global"
    if of_all:
        to_validate, to_test = data.fractions
        held = np.zeros(len(train), np.int64)
        if test is None:
            held[_stratified(train.y, to_test, generator(seed, Stream.TEST_SET))] = _TEST
            test = train.select(np.flatnonzero(held == _TEST))
        if to_validate:
            rest = np.flatnonzero(held == _TRAIN)
            fraction = to_validate * len(held) / max(len(rest), 1)
            picked = _stratified(train.y[rest], fraction, generator(seed, Stream.HOLDOUT))
            held[rest[picked]] = _VALIDATION
            validation = train.select(np.flatnonzero(held == _VALIDATION))
        if held.any():
            kept = np.flatnonzero(held == _TRAIN)
            train, natural = train.select(kept), None if natural is None else natural[kept]
        _not_empty(dataset.name, train, test)

    count = len(chosen) if chosen is not None else clients.count
    assert count is not None  # Partition demands it for every split but the natural one
    pool = Pool(train.y, count, natural, x=train.x, num_classes=dataset.num_classes)
    owner = assign(clients.split, pool, generator(seed, Stream.SPLIT), _sizes(clients, pool, seed))
    order = np.argsort(owner, kind="stable")
    unused = int((owner == NO_ONE).sum())
    order, bounds = order[unused:], np.cumsum(np.bincount(owner[owner >= 0], minlength=count))[:-1]
    dealt = np.split(order, bounds)
    parts: list[tuple[np.ndarray, ...]] = [tuple(dealt), (), ()]
    if not of_all:
        held = _held_by_clients(train.y, order, owner, data.fractions, seed)
        parts = [
            tuple(own[held[own] == part] for own in dealt) for part in (_TRAIN, _VALIDATION, _TEST)
        ]
        if test is None:
            test = train.select(np.concatenate(parts[_TEST]))
        if data.fractions[0]:
            validation = train.select(np.concatenate(parts[_VALIDATION]))
        _not_empty(dataset.name, train, test)
    assert test is not None
    return FederatedData(
        train=train,
        clients=parts[_TRAIN],
        names=tuple(chosen if chosen is not None else (f"client-{i}" for i in range(count))),
        test=test,
        num_classes=dataset.num_classes,
        validation=validation,
        client_validation=parts[_VALIDATION],
        client_test=parts[_TEST],
        shift=tuple(clients.shift),
        seed=seed,
        unused=unused,
        task=dataset.task,
    )


def _sizes(clients: Partition, pool: Pool, seed: int) -> Optional[Callable[[], np.ndarray]]:
    """What draws the clients' sizes, or None where the scenario asks for none."""
    chosen, rng = clients.size, generator(seed, Stream.SIZES)
    if chosen is None:
        return None
    return lambda: draw(chosen, pool.clients, len(pool.labels), rng)


def _not_empty(name: str, train: Examples, test: Examples) -> None:
    if not len(test) or not len(train):
        raise DataError(
            f"{name} gives {len(train)} training and {len(test)} test examples; neither may be "
            "empty"
        )


def _stratified(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Int positions of a random `fraction` of the examples, in which labels keep their proportions.

    Systematic sampling: evenly spaced positions of the shuffled, then label-sorted examples
    (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, chapter 8).
    """
    n = len(labels)
    shuffled = rng.permutation(n)
    by_label = shuffled[np.argsort(_strata(labels)[shuffled], kind="stable")]
    count = np.array([min(n, round(n * fraction))])
    return by_label[_evenly_spaced(np.array([n]), count, rng)]


def _held_by_clients(
    labels: np.ndarray,
    dealt: np.ndarray,
    owner: np.ndarray,
    fractions: tuple[float, float],
    seed: int,
) -> np.ndarray:
    """Int8 (n,): which part of its client's examples each one belongs to.

    As `_stratified`, for every client by itself; each keeps at least one example to train on.

    Args:
        labels: (n,), of all examples.
        dealt: int, the positions of those that a client has.
        owner: int (n,), the client of each example.
        fractions: of a client's examples, those for validation and for testing.
        seed: of the scenario.
    """
    rng = generator(seed, Stream.HOLDOUT)
    shuffled = rng.permutation(dealt)
    left = shuffled[np.lexsort((_strata(labels)[shuffled], owner[shuffled]))]
    all_ = np.bincount(owner[dealt])
    held = np.zeros(len(labels), np.int8)
    for part, fraction in zip((_VALIDATION, _TEST), fractions):
        sizes_left = np.bincount(owner[left], minlength=len(all_))
        counts = np.minimum(np.rint(all_ * fraction).astype(np.int64), sizes_left - 1)
        held[left[_evenly_spaced(sizes_left, counts, rng)]] = part
        left = left[held[left] == _TRAIN]
    return held


def _strata(labels: np.ndarray) -> np.ndarray:
    """What keeps its proportions: nothing where an example has many labels."""
    return labels if labels.ndim == 1 else np.zeros(len(labels), np.int8)


def _evenly_spaced(group: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Int positions: of groups of `group` neighbors each, `counts` of each group."""
    of = np.repeat(np.arange(len(group)), counts)
    within = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    spaced = ((within + rng.random(len(group))[of]) * group[of] / counts[of]).astype(np.int64)
    return (np.cumsum(group) - group)[of] + np.minimum(spaced, group[of] - 1)
