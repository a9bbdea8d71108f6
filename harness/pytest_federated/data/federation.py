"""From a data set and a split to clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Callable, Optional

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    TaskKind,
    classes_of,
    described,
)
from pytest_federated.data.datasets.validity import load_valid
from pytest_federated.data.holdout import TEST, TRAIN, VALIDATION, hold_out, hold_out_by_client
from pytest_federated.data.population import Population, made_up_name
from pytest_federated.data.schema import Data, Partition
from pytest_federated.data.shifts.shift import Part, apply, shifts
from pytest_federated.data.sizes.size import draw
from pytest_federated.data.splits.partition import NO_ONE, Pool, assign, splits
from pytest_federated.registry.registry import kind


@dataclass(frozen=True)
class FederatedData:
    """The clients of one scenario under one seed.

    Attributes:
        train: the examples that were dealt to the clients; with `holdout: per_client`, also
            those that a client holds out.
        clients: for each client the int positions in `train` of the examples it trains on.
        names: the clients' names, in the same order.
        test: the common, held-out test set.
        num_classes: number of distinct labels; 1 for numbers.
        validation: the common, held-out validation set; None where there is none.
        client_validation: for each client the int positions in `train` of the examples that it
            holds out for validation; empty without `holdout: per_client`.
        client_test: for each client the int positions in `tested`, or else in `train`, of the
            examples that it alone is tested on; empty where there are none.
        tested: the data set's own test examples, if it says whose they are.
        tested_as: what `client_test` is held out for: `TEST`, or `VALIDATION`.
        only_tested: names of the clients that have test examples and none to train on.
        shift: what is different about each client's examples.
        seed: what everything random came from.
        unused: examples of `train` that the split gave to no client.
        task: what the labels are.
        label_names: what the labels are called, in order; empty where they are called 0, 1, ...

    """

    train: Examples
    clients: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    test: Examples
    num_classes: int
    validation: Optional[Examples] = None
    client_validation: tuple[np.ndarray, ...] = ()
    client_test: tuple[np.ndarray, ...] = ()
    tested: Optional[Examples] = None
    tested_as: int = TEST
    only_tested: tuple[str, ...] = ()
    shift: tuple[Section, ...] = ()
    seed: int = 0
    unused: int = 0
    task: TaskKind = "label"
    label_names: tuple[str, ...] = ()

    @cached_property
    def sizes(self) -> np.ndarray:
        """Int (clients,): examples that each client trains on."""
        return np.array([len(c) for c in self.clients])

    @cached_property
    def population(self) -> Population:
        """The clients as samplers know them."""
        return Population(self.names, self.sizes)

    @property
    def label_counts(self) -> np.ndarray[Any, Any]:
        """Int (clients, classes): examples of each label that each client trains on.

        With labels as the client has them: after the shifts that change labels. Where an example
        has several, each of them counts, but padding does not.
        """
        return np.stack(
            [
                np.bincount(
                    classes_of(
                        self._shifted("labels", self.train.y[positions], client, TRAIN), self.task
                    ),
                    minlength=self.num_classes,
                )
                for client, positions in enumerate(self.clients)
            ]
        )

    def examples(self, client: int, rng: Optional[np.random.Generator] = None) -> Examples:
        """Returns a client's training examples, with its shifts, in the order of its positions.

        With `rng`, they are also augmented where the data set says so.
        """
        return self._of(self.clients, client, TRAIN, rng)

    def validation_examples(self, client: int) -> Examples:
        """Returns the validation examples of a client, with its shifts."""
        return self._of(self.client_validation, client, VALIDATION)

    def test_examples(self, client: int) -> Examples:
        """Returns the test examples of a client, with its shifts."""
        return self._of(self.client_test, client, self.tested_as, of=self.tested)

    @cached_property
    def validated(self) -> Optional[FederatedData]:
        """The same clients with the validation examples as test examples; None without these."""
        if self.validation is None:
            return None
        return replace(
            self,
            test=self.validation,
            client_test=self.client_validation,
            tested=None,
            tested_as=VALIDATION,
        )

    def tested_by_client(self) -> Iterator[tuple[int, Examples]]:
        """Returns the test examples for the model of each client: its own, or the test set."""
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
        of: Optional[Examples] = None,
    ) -> Examples:
        examples = (self.train if of is None else of).take(positions[client], rng)
        if not self.shift:
            return examples
        return Examples(
            self._shifted("features", examples.x, client, part),
            self._shifted("labels", examples.y, client, part),
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
    dataset = described(data.dataset, cache)
    split = splits.entry(clients.split).spec
    if split.has_natural and not dataset.natural:
        raise DataError(f"the data set {dataset.name} has no natural clients; choose another split")
    of_labels = [kind(shift) for shift in clients.shift if shifts.entry(shift).spec.of == "labels"]
    if dataset.task == "regression" and of_labels:
        raise DataError(
            f"clients.shift: {of_labels[0]} changes labels; {dataset.name} has numbers to predict "
            "(task: regression)"
        )
    names = _draw_natural_clients(dataset, clients.count, seed) if split.natural else None
    loaded = load_valid(dataset, names)
    _check_shifts(clients, dataset, loaded.train)

    train, natural, test, validation = loaded.train, loaded.natural, loaded.test, None
    is_global = data.holdout == "global"
    if is_global:
        fractions = data.fractions if test is None else (data.fractions[0], 0.0)
        roles = hold_out(train.y, fractions, seed)
        if test is None:
            test = train.select(np.flatnonzero(roles == TEST))
        if data.fractions[0]:
            validation = train.select(np.flatnonzero(roles == VALIDATION))
        if roles.any():
            rest = np.flatnonzero(roles == TRAIN)
            train, natural = train.select(rest), None if natural is None else natural[rest]
        _check_not_empty(dataset.name, train, test)

    count = len(names) if names is not None else clients.count
    assert count is not None  # `Partition` refuses to do without it for all splits but natural
    pool = Pool(train.y, count, natural, x=train.x, num_classes=dataset.num_classes)
    owner = assign(clients.split, pool, generator(seed, Stream.SPLIT), _sizes(clients, pool, seed))
    order = np.argsort(owner, kind="stable")
    unused = int((owner == NO_ONE).sum())
    order, bounds = order[unused:], np.cumsum(np.bincount(owner[owner >= 0], minlength=count))[:-1]
    dealt = np.split(order, bounds)
    by_role: list[tuple[np.ndarray, ...]] = [tuple(dealt), (), ()]
    if not is_global:
        roles = hold_out_by_client(train.y, order, owner, data.fractions, seed)
        by_role = [
            tuple(positions[roles[positions] == role] for positions in dealt)
            for role in (TRAIN, VALIDATION, TEST)
        ]
        if test is None:
            test = train.select(np.concatenate(by_role[TEST]))
        if data.fractions[0]:
            validation = train.select(np.concatenate(by_role[VALIDATION]))
        _check_not_empty(dataset.name, train, test)
    assert test is not None
    client_test, tested = by_role[TEST], None
    if is_global and loaded.test_natural is not None and split.has_natural:
        client_test = _tested_by_client(loaded.test_natural, natural, owner, count)
        tested = test if client_test else None
    return FederatedData(
        train=train,
        clients=by_role[TRAIN],
        names=tuple(names if names is not None else map(made_up_name, range(count))),
        test=test,
        num_classes=dataset.num_classes,
        validation=validation,
        client_validation=by_role[VALIDATION],
        client_test=client_test,
        tested=tested,
        only_tested=tuple(dataset.only_tested) if is_global and split.has_natural else (),
        shift=tuple(clients.shift),
        seed=seed,
        unused=unused,
        task=dataset.task,
        label_names=tuple(dataset.label_names),
    )


def _tested_by_client(
    test_natural: np.ndarray, natural: Optional[np.ndarray], owner: np.ndarray, count: int
) -> tuple[np.ndarray, ...]:
    """Returns for each client the int positions of the test examples of its natural clients.

    Empty where no client has any, or the split has divided a natural client.

    Args:
        test_natural: int (m,), the natural client of each test example; negative for none.
        natural: int (n,), that of each training example.
        owner: int (n,), the client that the split gave each training example to.
        count: of clients.

    """
    if natural is None:
        return ()
    clients = max(test_natural.max(initial=-1), natural.max(initial=-1)) + 1
    owner_of = np.full(clients, NO_ONE)
    owner_of[natural] = owner
    owners = np.where(test_natural < 0, NO_ONE, owner_of[test_natural])
    if (owner_of[natural] != owner).any() or (owners == NO_ONE).all():
        return ()
    return tuple(np.flatnonzero(owners == client) for client in range(count))


def _check_shifts(clients: Partition, dataset: Dataset, train: Examples) -> None:
    """Raises DataError if shifts change features, and examples have several inputs."""
    for shift in clients.shift:
        if train.x.dtype.names and shifts.entry(shift).spec.of == "features":
            raise DataError(
                f"clients.shift: {kind(shift)} changes one array of features; {dataset.name} has "
                f"the inputs {', '.join(train.x.dtype.names)}"
            )


def _draw_natural_clients(dataset: Dataset, count: Optional[int], seed: int) -> list[str]:
    """Draws `count` natural clients, or takes all, in the order of the data set.

    Raises:
        DataError: there are fewer.

    """
    names = list(dataset.natural)
    if count is not None and count > len(names):
        raise DataError(f"{dataset.name} has {len(names)} natural clients, not {count}")
    size = count or len(names)
    drawn = generator(seed, Stream.POPULATION).choice(len(names), size, replace=False)
    return [names[i] for i in np.sort(drawn)]


def _sizes(clients: Partition, pool: Pool, seed: int) -> Optional[Callable[[], np.ndarray]]:
    """Returns a function that draws the clients' sizes; None where the scenario asks for none."""
    size, rng = clients.size, generator(seed, Stream.SIZES)
    if size is None:
        return None
    return lambda: draw(size, pool.clients, len(pool.labels), rng)


def _check_not_empty(name: str, train: Examples, test: Examples) -> None:
    if not len(test) or not len(train):
        raise DataError(
            f"{name} gives {len(train)} training and {len(test)} test examples; neither may be "
            "empty"
        )
