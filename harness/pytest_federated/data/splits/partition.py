"""The registry of splits, the examples that they deal, and what is done once for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Callable, Optional, Protocol

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import inputs_of
from pytest_federated.registry.registry import Registry, kind
from pytest_federated.registry.spec import Spec

_DRAWS = 100
NO_ONE = -1  # the client of an example that a split gives to nobody


class SplitSettings(Section):
    """Keys that every split has."""

    min_examples: Annotated[
        int,
        Field(
            ge=1,
            description="Each client holds at least this many; drawn again until it does. Natural "
            "clients with fewer are left out.",
        ),
    ] = 1


@dataclass(frozen=True)
class SplitSpec(Spec):
    """The traits of a split.

    Attributes:
        sizes: it deals the sizes that ``clients.size`` draws, `Pool.sizes`.
        has_natural: it needs a data set with natural clients, `Pool.natural`.
        natural: its clients are the natural ones, so that a scenario may leave their number out.
        random: False where another draw would give the same clients.
        milder: the key to raise where clients stay empty.
        leaves_out: it may give some examples to nobody.
        per_client: the key that lists one value for each client.
        any_labels: it does not look at labels, so examples may have several.
        example_clients: how many clients the example in the docs has; None leaves that to the data.

    """

    sizes: bool = False
    has_natural: bool = False
    natural: bool = False
    random: bool = True
    milder: str = ""
    leaves_out: bool = False
    per_client: str = ""
    any_labels: bool = False
    example_clients: Optional[int] = 10


class Split(Protocol):
    """Deals the examples of a pool to clients."""

    def __call__(
        self, pool: Pool, rng: np.random.Generator, /, *args: Any, **keys: Any
    ) -> np.ndarray:
        """Returns the client of each example, int (n,): 0 .. pool.clients - 1, or `NO_ONE`."""
        ...


splits = Registry(
    "split",
    Split,
    SplitSpec,
    SplitSettings,
    plural="splits",
    package=__package__,
    error=DataError,
)


@dataclass(frozen=True)
class Pool:
    """The training examples to deal to clients.

    Attributes:
        labels: int (n,), the label of each example; float where it has a number.
        clients: number of clients to deal to.
        natural: int (n,), the natural client of each example, or None.
        sizes: int (clients,), the examples that each client is to get, no more than n in all;
            None where the scenario asks for no sizes.
        x: the features, `Rows` (n, ...) that may not be in memory; read them with `blocks`.
        num_classes: number of distinct labels; one more than the largest where None.

    """

    labels: np.ndarray
    clients: int
    natural: Optional[np.ndarray] = None
    sizes: Optional[np.ndarray] = None
    x: Any = None  # Rows; NumPy's own types do not pass for that protocol
    num_classes: Optional[int] = None

    @property
    def classes(self) -> int:
        """The number of distinct labels, which are 0 .. classes - 1."""
        return self.num_classes or int(self.labels.max()) + 1

    def client_sizes(self) -> np.ndarray:
        """Returns the required sizes, int64 (clients,), or even ones, up to one example."""
        if self.sizes is not None:
            return self.sizes
        base, more = divmod(len(self.labels), self.clients)
        return base + (np.arange(self.clients) < more).astype(np.int64)

    def blocks(self, rows: int = 4096) -> Iterator[np.ndarray]:
        """Yields the features in order, float32 (up to `rows`, d), each example as one flat row.

        Raises:
            DataError: the pool has no features.

        """
        if self.x is None:
            raise DataError("this split reads the features of the examples, which are missing here")
        for start in range(0, len(self.labels), rows):
            inputs = inputs_of(np.asarray(self.x[start : start + rows]))
            blocks = inputs.values() if isinstance(inputs, dict) else [inputs]
            flat = [np.asarray(b, np.float32).reshape(len(b), -1) for b in blocks]
            yield np.concatenate(flat, axis=1) if len(flat) > 1 else flat[0]

    def part(self, index: np.ndarray, clients: int) -> Pool:
        """Returns a pool of the examples at `index`, int (m,), to deal to `clients` clients."""
        natural = None if self.natural is None else self.natural[index]
        x = None if self.x is None else _Selected(self.x, index)
        return replace(
            self,
            labels=self.labels[index],
            clients=clients,
            natural=natural,
            sizes=None,
            x=x,
            num_classes=self.classes,
        )


@dataclass(frozen=True)
class _Selected:
    """Some of the rows of other rows, read when they are needed."""

    rows: Any
    index: np.ndarray

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.rows[self.index[index]]


def labels_to_share(pool: Pool, each: int, split: str) -> np.ndarray:
    """Returns the labels that occur in a pool, int (k,), of which each client gets `each`.

    Raises:
        DataError: there are fewer; it names the split.

    """
    present = np.unique(pool.labels)
    if each > len(present):
        raise DataError(
            f"the split {split} asks for {each} labels a client; the training examples have "
            f"{len(present)}"
        )
    return present


def by_label(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns int (n,): all positions, ordered by label and at random within a label."""
    shuffled = rng.permutation(len(labels))
    return shuffled[np.argsort(labels[shuffled], kind="stable")]


def deal(labels: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Deals each client its number of examples of each label, at random.

    Args:
        labels: int (n,).
        counts: int (clients, classes), of each label at most as many as there are; the rest goes
            to no one.
        rng: decides which examples of a label a client gets.

    Returns:
        int64 (n,): the client of each example, or -1.

    """
    clients, classes = counts.shape
    rest = np.bincount(labels, minlength=classes) - counts.sum(axis=0)
    owners = np.append(np.arange(clients), NO_ONE)
    client = np.empty(len(labels), np.int64)
    client[by_label(labels, rng)] = np.repeat(
        np.tile(owners, classes), np.vstack([counts, rest]).T.ravel()
    )
    return client


def drawn(
    priors: np.ndarray, sizes: np.ndarray, supply: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws the labels of all clients at once, without replacement.

    Every client asks for as many examples as it lacks, by its prior over the labels that are not
    used up. Where clients ask for more examples of a label than are left, chance decides who gets
    them, and the others ask again: each turn but the last uses up at least one label.

    Args:
        priors: float (clients, classes), the weights of the labels of each client.
        sizes: int (clients,), in all at most the number of examples.
        supply: int (classes,), examples of each label.
        rng: draws the labels.

    Returns:
        int64 (clients, classes): examples of each label for each client; rows add up to `sizes`.

    """
    counts = np.zeros(priors.shape, np.int64)
    lacking, left = sizes.astype(np.int64), supply.astype(np.int64)
    while lacking.any():
        asking = np.flatnonzero(lacking)
        wanted = priors[asking] * (left > 0)
        # A client whose labels have all run out takes from what is left.
        total = wanted.sum(axis=1, keepdims=True)
        wanted = np.where(total > 0, wanted / np.where(total > 0, total, 1), left / left.sum())
        asked = rng.multinomial(lacking[asking], wanted)
        for label in np.flatnonzero(asked.sum(axis=0) > left):
            asked[:, label] = rng.multivariate_hypergeometric(
                asked[:, label], int(left[label]), method="marginals"
            )
        counts[asking] += asked
        left -= asked.sum(axis=0)
        lacking[asking] -= asked.sum(axis=1)
    return counts


def whole(shares: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Returns int64 counts in proportion to `shares` (..., n) that add up to int `total` (...).

    The running total is rounded, so that nothing is lost: each count is within one of its share.
    Where all shares are 0, so are the counts.
    """
    ends = np.cumsum(shares, axis=-1)
    of_all = ends / np.where(ends[..., -1:] > 0, ends[..., -1:], 1)
    ends = np.rint(of_all * np.asarray(total)[..., None]).astype(np.int64)
    return np.diff(ends, axis=-1, prepend=0)


def apportioned(weights: np.ndarray, seats: int) -> np.ndarray:
    """Returns int64 (n,) adding up to `seats`, proportional to `weights`, by largest remainder."""
    shares = weights / weights.sum() * seats
    counts = np.floor(shares).astype(np.int64)
    largest = np.argsort(counts - shares, kind="stable")[: seats - counts.sum()]
    counts[largest] += 1
    return counts


def groups_of(member: np.ndarray) -> list[np.ndarray]:
    """Returns the int positions of the members of each group, by `member`, int (n,)."""
    order = np.argsort(member, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(member[order])) + 1)


def min_examples(split: Section) -> int:
    """Returns how many examples each client has to hold."""
    return getattr(split, "min_examples")  # noqa: B009 - of SplitSettings


def assign(
    split: Section,
    pool: Pool,
    rng: np.random.Generator,
    sizes: Optional[Callable[[], np.ndarray]] = None,
) -> np.ndarray:
    """Deals the examples, again and again until every client holds `min_examples`.

    A natural client has what it has; `federate` leaves those out that are too small.

    Args:
        split: the validated choice of a split.
        pool: the examples.
        rng: the split draws from it.
        sizes: draws the clients' sizes for each attempt, int (clients,); None to leave them to
            the split.

    Returns:
        int64 (n,): the client of each example, 0 .. pool.clients - 1; -1 for one that the split
        gives to nobody, which only few splits do and their descriptions say.

    Raises:
        DataError: more clients than examples allow, or no draw that fills every client.

    """
    entry = splits.entry(split)
    least = 0 if entry.spec.natural else min_examples(split)
    examples = len(pool.labels)
    has_numbers = pool.labels.dtype.kind == "f"
    if (pool.labels.ndim != 1 or has_numbers) and not entry.spec.any_labels:
        able = ", ".join(n for n in splits.names() if splits[n].spec.any_labels)
        has = "a number (task: regression)" if pool.labels.ndim == 1 else "several"
        raise DataError(
            f"the split {entry.name} needs one label for each example; here an example has "
            f"{has}; splits that do not look at labels: {able}"
        )
    if pool.clients * least > examples:
        raise DataError(
            f"{pool.clients} clients with at least {least} example(s) each need "
            f"{pool.clients * least} training examples; there are {examples}"
        )
    leaves_out = bool(entry.spec.leaves_out or sizes)
    draws = _DRAWS if entry.spec.random or sizes else 1
    held = np.zeros(pool.clients, np.int64)
    for _ in range(draws):
        if sizes:
            pool = replace(pool, sizes=sizes())
        client = np.asarray(entry.call(split, pool, rng))
        is_whole = client.shape == (examples,) and np.issubdtype(client.dtype, np.integer)
        lowest = NO_ONE if leaves_out else 0
        if not is_whole or client.min() < lowest or client.max() >= pool.clients:
            raise DataError(
                f"the split {entry.name!r} gave {client.dtype} {client.shape}, not one of the "
                f"{pool.clients} clients (0 to {pool.clients - 1}) for each of {examples} examples"
            )
        held = np.bincount(client[client >= 0], minlength=pool.clients)
        if held.min() >= least:
            return client.astype(np.int64)
    short = np.flatnonzero(held < least)
    listed = ", ".join(f"client {c} ({held[c]})" for c in short[:5])
    more = f" and {len(short) - 5} more" if len(short) > 5 else ""
    values = {k: getattr(split, k) for k in entry.keywords}
    keys = ", ".join(f"{k} {_brief(v)}" for k, v in values.items() if v is not False)
    raise DataError(
        f"the split {entry.name}{f' ({keys})' if keys else ''} leaves {listed}{more} with fewer "
        f"than {least} of {examples} examples"
        + (f" in each of {draws} draws" if draws > 1 else "")
        + "; use fewer clients"
        + (f", a larger {entry.spec.milder}" if entry.spec.milder else "")
        + (", sizes that differ less (clients.size)" if sizes else "")
        + (" or a smaller min_examples" if least > 1 else "")
    )


def _brief(value: Any) -> str:
    text = kind(value) if isinstance(value, Section) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
