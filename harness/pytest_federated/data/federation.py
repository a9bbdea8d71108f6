"""From a data set and a split to clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Callable, Optional, TypeVar

import numpy as np

from pytest_federated.core.errors import DataError, about
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import (
    Cache,
    Dataset,
    Examples,
    Loaded,
    TaskKind,
    classes_of,
    datasets,
    described,
    levels_of,
)
from pytest_federated.data.datasets.validity import load_valid
from pytest_federated.data.holdout import TEST, TRAIN, VALIDATION, hold_out, hold_out_by_client
from pytest_federated.data.population import Population, made_up_name
from pytest_federated.data.schema import Data, Partition, unseen_clients
from pytest_federated.data.shifts.shift import Part, apply, changing_nobody, shifts
from pytest_federated.data.sizes.size import draw
from pytest_federated.data.splits.partition import (
    NO_ONE,
    Pool,
    assign,
    min_examples,
    splits,
)
from pytest_federated.registry.registry import kind

_T = TypeVar("_T")


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
        unseen: for each client that never trains the int positions in `unseen_of`, or else in
            `train`, of the examples that it is tested on.
        unseen_names: the names of these clients, in the same order.
        unseen_of: the data set's own test examples, if it says which are theirs.
        numbers: of each client, the unseen ones last, its number among all that the split makes;
            those with test examples only have none. Empty where all clients train.
        shift: what is different about each client's examples.
        seed: what everything random came from.
        unused: examples of `train` that the split gave to no client.
        has_shared_test: whether the test set is the data set's own, though clients hold examples
            out, too.
        left_out: natural clients that hold fewer than `min_examples`, and so are none of these.
        task: what the labels are.
        label_names: what the labels are called, in order; empty where they are called 0, 1, ...
        features: names of the columns that are learned from; empty where they have none.

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
    unseen: tuple[np.ndarray, ...] = ()
    unseen_names: tuple[str, ...] = ()
    unseen_of: Optional[Examples] = None
    numbers: tuple[int, ...] = ()
    shift: tuple[Section, ...] = ()
    seed: int = 0
    unused: int = 0
    has_shared_test: bool = False
    left_out: int = 0
    task: TaskKind = "label"
    label_names: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @cached_property
    def sizes(self) -> np.ndarray:
        """Int (clients,): examples that each client trains on."""
        return np.array([len(c) for c in self.clients])

    @cached_property
    def levels(self) -> Optional[Any]:
        """The bytes, uint8 `Rows`, of which the features that clients train on are 1/255.

        None where they are something else.
        """
        changed = any(shifts.entry(shift).spec.of == "features" for shift in self.shift)
        return None if changed else levels_of(self.train.x)

    @property
    def tested_clients(self) -> int:
        """How many clients have test examples of their own in the data set's test set."""
        return 0 if self.tested is None else sum(len(own) > 0 for own in self.client_test)

    @cached_property
    def population(self) -> Population:
        """The clients as samplers know them."""
        return Population(self.names, self.sizes, frozenset(self.unseen_names))

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

    def training_labels(self, client: int) -> np.ndarray:
        """Returns the labels of `examples`."""
        return self._shifted("labels", self.train.y[self.clients[client]], client, TRAIN)

    def validation_examples(self, client: int) -> Examples:
        """Returns the validation examples of a client, with its shifts."""
        return self._of(self.client_validation, client, VALIDATION)

    def test_examples(self, client: int) -> Examples:
        """Returns the test examples of a client, with its shifts."""
        return self._of(self.client_test, client, self.tested_as, of=self.tested)

    def unseen_examples(self, client: int) -> Examples:
        """Returns the examples of an unseen client, with its shifts."""
        return self._of(self.unseen, client, TEST, of=self.unseen_of, after=len(self.clients))

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
        """Returns the test examples for the model of each client: its own, or the test set.

        Raises:
            DataError: no client has any.
        """
        if self.client_test and not any(map(len, self.client_test)):
            part = "validation" if self.tested_as == VALIDATION else "test"
            raise DataError(
                f"data.{part}_fraction: with holdout: per_client, no client holds out anything, so "
                "there is nothing to judge clients' own models on; set a larger fraction, or give "
                "clients more examples"
            )
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
        after: int = 0,
    ) -> Examples:
        """Returns examples of a client, whose place is `client` among those that come `after`."""
        examples = (self.train if of is None else of).take(positions[client], rng)
        if not self.shift:
            return examples
        return Examples(
            self._shifted("features", examples.x, after + client, part),
            self._shifted("labels", examples.y, after + client, part),
        )

    def _shifted(self, of: Part, values: np.ndarray, client: int, part: int) -> np.ndarray:
        numbers = self.numbers or range(len(self.clients))
        if not self.shift or client >= len(numbers):  # the split knows nothing of this client
            return values
        shifted = apply(
            self.shift,
            *(of, values, numbers[client], len(numbers), self.num_classes, self.seed, part),
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
    with _about_split(clients):
        _check_natural_clients(dataset, data, clients)
    of_labels = [kind(shift) for shift in clients.shift if shifts.entry(shift).spec.of == "labels"]
    if dataset.task == "regression" and of_labels:
        raise DataError(
            f"clients.shift: {of_labels[0]} changes labels; {dataset.name} has numbers to predict "
            "(task: regression)"
        )
    names, left_out = None, 0
    if split.natural:
        with _about_split(clients):
            names, left_out = _draw_natural_clients(dataset, clients, seed)
    natural_clients = len(dataset.natural if names is None else names)
    with about(datasets.what, kind(data.dataset)):
        loaded = load_valid(dataset, names)
    _check_shifts(clients, dataset, loaded.train)

    train, natural, test, validation = loaded.train, loaded.natural, loaded.test, None
    is_global = data.holdout == "global"
    if is_global:
        if test is not None and data.test_fraction is not None:
            raise DataError(
                f"data.test_fraction: got {data.test_fraction:g}; {dataset.name} has a test set of "
                "its own: leave it out"
            )
        fractions = data.fractions if test is None else (data.fractions[0], 0.0)
        roles = hold_out(train.y, fractions, seed)
        if test is None:
            test = train.select(np.flatnonzero(roles == TEST))
        if data.fractions[0]:
            validation = train.select(np.flatnonzero(roles == VALIDATION))
        if roles.any():
            rest = np.flatnonzero(roles == TRAIN)
            train, natural = train.select(rest), None if natural is None else natural[rest]
        _check_not_empty(dataset.name, train, test, validation)

    count = len(names) if names is not None else clients.count
    assert count is not None  # `Partition` refuses to do without it for all splits but natural
    pool = Pool(train.y, count, natural, x=train.x, num_classes=dataset.num_classes)
    with _about_split(clients):
        sizes = _sizes(clients, pool, seed)
        owner = assign(clients.split, pool, generator(seed, Stream.SPLIT), sizes)
    if split.natural:  # who holds nothing any more is left out, too
        holds = np.bincount(owner[owner >= 0], minlength=count) > 0
        owner = np.where(owner < 0, NO_ONE, (np.cumsum(holds) - 1)[owner])
        names = list(_of(holds, names or ()))
        left_out, count = left_out + count - len(names), len(names)
    for key, reason in changing_nobody(clients.shift, count):
        raise DataError(f"clients.{key}: {reason}")
    dealt = _dealt(owner, count)
    trains = _who_trains(clients.unseen, count, seed)
    by_role: list[tuple[np.ndarray, ...]] = [_of(trains, dealt), (), ()]
    if not is_global:
        roles = hold_out_by_client(train.y, np.concatenate(dealt), owner, data.fractions, seed)
        by_role = [
            tuple(positions[roles[positions] == role] for positions in _of(trains, dealt))
            for role in (TRAIN, VALIDATION, TEST)
        ]
        if test is None:
            test = train.select(np.concatenate(by_role[TEST]))
        if data.fractions[0]:
            validation = train.select(np.concatenate(by_role[VALIDATION]))
        _check_not_empty(dataset.name, train, test, validation)
    assert test is not None
    client_test, unseen = by_role[TEST], _of(~trains, dealt)
    names = names or [made_up_name(client) for client in range(count)]
    unseen_names = _of(~trains, names)
    own = ()
    if is_global and split.has_natural:
        own = _tested_by_client(dataset, loaded, natural, natural_clients, owner, count)
    of_trained, of_unseen = _of(trains, own), (*_of(~trains, own), *own[count:])
    are_tested, unseen_are_tested = any(map(len, of_trained)), any(map(len, of_unseen))
    if are_tested:
        client_test = of_trained
    if unseen_are_tested:
        unseen, unseen_names = of_unseen, (*unseen_names, *dataset.only_tested)
    return FederatedData(
        train=train,
        clients=by_role[TRAIN],
        names=_of(trains, names),
        test=test,
        num_classes=dataset.num_classes,
        validation=validation,
        client_validation=by_role[VALIDATION],
        client_test=client_test,
        tested=test if are_tested else None,
        unseen=unseen,
        unseen_names=unseen_names,
        unseen_of=test if unseen_are_tested else None,
        numbers=() if trains.all() else (*np.flatnonzero(trains), *np.flatnonzero(~trains)),
        shift=tuple(clients.shift),
        seed=seed,
        unused=int((owner == NO_ONE).sum()),
        has_shared_test=not is_global and loaded.test is not None,
        left_out=left_out,
        task=dataset.task,
        label_names=tuple(dataset.label_names),
        features=tuple(dataset.features),
    )


def _about_split(clients: Partition) -> AbstractContextManager[None]:
    return about(splits.what, kind(clients.split))


def _check_natural_clients(dataset: Dataset, data: Data, clients: Partition) -> None:
    """Raises DataError if the split needs natural clients, and the data set has none."""
    if not splits.entry(clients.split).spec.has_natural or dataset.natural:
        return
    keys = [k for k in ("client", "by_client") if k in datasets.entry(data.dataset).keywords]
    name_them = f"name them under data.dataset.{keys[0]}, or " if keys else ""
    raise DataError(
        f"the data set {dataset.name} has no natural clients; {name_them}choose another split"
    )


def _who_trains(unseen: Optional[float], clients: int, seed: int) -> np.ndarray:
    """Draws which of the clients train, bool (clients,): all but a share, at least one of each.

    Raises:
        DataError: there is only one.

    """
    trains = np.ones(clients, bool)
    if unseen is None:
        return trains
    if clients < 2:
        raise DataError(f"clients.unseen: got {unseen:g}; there is 1 client, which has to train")
    drawn = generator(seed, Stream.UNSEEN).permutation(clients)
    trains[drawn[: unseen_clients(unseen, clients)]] = False
    return trains


def _dealt(owner: np.ndarray, clients: int) -> tuple[np.ndarray, ...]:
    """Returns for each client the int positions of its examples, by `owner`, int (n,)."""
    order = np.argsort(owner, kind="stable")[int((owner == NO_ONE).sum()) :]
    held = np.bincount(owner[owner >= 0], minlength=clients)
    return tuple(np.split(order, np.cumsum(held)[:-1]))


def _of(chosen: np.ndarray, values: Sequence[_T]) -> tuple[_T, ...]:
    """Returns the values at which `chosen`, bool (n,), is true; none where there are none."""
    return tuple(value for value, is_chosen in zip(values, chosen) if is_chosen)


def _tested_by_client(
    dataset: Dataset,
    loaded: Loaded,
    natural: Optional[np.ndarray],
    natural_clients: int,
    owner: np.ndarray,
    count: int,
) -> tuple[np.ndarray, ...]:
    """Returns for each client the int positions of the test examples of its natural clients.

    Those with test examples only come after the clients. Empty where the data set does not say
    whose its test examples are, or the split has divided a natural client.

    Args:
        dataset: the data set.
        loaded: its examples.
        natural: int (n,), the natural client of each training example.
        natural_clients: how many of these were loaded.
        owner: int (n,), the client that the split gave each training example to.
        count: of the clients that the split made.

    """
    if natural is None or loaded.test_natural is None:
        return ()
    only_tested = count + np.arange(len(dataset.only_tested))
    owner_of = np.append(np.full(natural_clients, NO_ONE), only_tested)
    owner_of[natural] = owner
    if (owner_of[natural] != owner).any():
        return ()
    owners = np.where(loaded.test_natural < 0, NO_ONE, owner_of[loaded.test_natural])
    return _dealt(owners, count + len(only_tested))


def _check_shifts(clients: Partition, dataset: Dataset, train: Examples) -> None:
    """Raises DataError if shifts change features, and examples have several inputs."""
    for shift in clients.shift:
        if train.x.dtype.names and shifts.entry(shift).spec.of == "features":
            raise DataError(
                f"clients.shift: {kind(shift)} changes one array of features; {dataset.name} has "
                f"the inputs {', '.join(train.x.dtype.names)}"
            )


def _draw_natural_clients(dataset: Dataset, clients: Partition, seed: int) -> tuple[list[str], int]:
    """Draws `count` natural clients, or takes all, in the order of the data set.

    Those with fewer training examples than `min_examples`, held-out ones included, are left out;
    returns how many these are, too.

    Raises:
        DataError: there are fewer.

    """
    names, least, count = list(dataset.natural), min_examples(clients.split), clients.count
    which = "natural clients"
    if least > 1:
        natural = load_valid(dataset, None).natural
        sizes = np.bincount([] if natural is None else natural, minlength=len(names))
        names = [name for name, size in zip(names, sizes) if size >= least]
        which += f" with {least} training examples or more (min_examples)"
    if not names or (count is not None and count > len(names)):
        wanted = "" if count is None else f", not {count}"
        raise DataError(f"{dataset.name} has {len(names)} {which}{wanted}")
    size = count or len(names)
    drawn = generator(seed, Stream.POPULATION).choice(len(names), size, replace=False)
    return [names[i] for i in np.sort(drawn)], len(dataset.natural) - len(names)


def _sizes(clients: Partition, pool: Pool, seed: int) -> Optional[Callable[[], np.ndarray]]:
    """Returns a function that draws the clients' sizes; None where the scenario asks for none."""
    size, rng = clients.size, generator(seed, Stream.SIZES)
    if size is None:
        return None
    return lambda: draw(size, pool.clients, len(pool.labels), rng)


def _check_not_empty(
    name: str, train: Examples, test: Examples, validation: Optional[Examples]
) -> None:
    if not len(test) or not len(train):
        raise DataError(
            f"{name} gives {len(train)} training and {len(test)} test examples; neither may be "
            "empty"
        )
    if validation is not None and not len(validation):
        raise DataError(
            f"data.validation_fraction: too small, as {name} gives no validation example; raise "
            "it, or leave it out"
        )
