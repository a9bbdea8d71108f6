"""What a split is given, and what is done once for all splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Callable, Optional, Protocol

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry, kind
from pytest_federated.registry.spec import Spec

_DRAWS = 100
NO_ONE = -1  # the client of an example that a split gives to nobody


class SplitSettings(Section):
    """What every split understands."""

    min_examples: Annotated[
        int,
        Field(ge=1, description="Each client holds at least this many; drawn again until it does."),
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
        per_client: the key that lists one thing for each client.
        any_labels: it looks at no labels, so that examples may have several.
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
        """Int (n,): the client of each example, 0 .. pool.clients - 1, or `NO_ONE`."""
        ...


splits = Registry("split", Split, SplitSpec, SplitSettings, plural="splits", package=__package__)


@dataclass(frozen=True)
class Pool:
    """The training examples that are to be dealt out.

    Attributes:
        labels: int (n,), the label of each example.
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
        """Number of distinct labels, which are 0 .. classes - 1."""
        return self.num_classes or int(self.labels.max()) + 1

    def client_sizes(self) -> np.ndarray:
        """Int64 (clients,): the sizes asked for, or even ones, which differ by one at most."""
        if self.sizes is not None:
            return self.sizes
        base, more = divmod(len(self.labels), self.clients)
        return base + (np.arange(self.clients) < more).astype(np.int64)

    def blocks(self, rows: int = 4096) -> Iterator[np.ndarray]:
        """The features in order, float32 (up to `rows`, d): an example's as one flat row.

        Raises:
            DataError: there are none.

        """
        if self.x is None:
            raise DataError("this split reads the features of the examples; here there are none")
        for start in range(0, len(self.labels), rows):
            block = np.asarray(self.x[start : start + rows], np.float32)
            yield block.reshape(len(block), -1)

    def part(self, index: np.ndarray, clients: int) -> Pool:
        """The examples at `index`, int (m,), to be dealt to `clients` clients."""
        natural = None if self.natural is None else self.natural[index]
        x = None if self.x is None else _Part(self.x, index)
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
class _Part:
    """Rows of other rows, read when they are asked for."""

    rows: Any
    index: np.ndarray

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.rows[self.index[index]]


def by_label(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Int (n,): all positions, ordered by label and at random within a label."""
    shuffled = rng.permutation(len(labels))
    return shuffled[np.argsort(labels[shuffled], kind="stable")]


def deal(labels: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Deals each client its number of examples of each label, at random.

    Args:
        labels: int (n,).
        counts: int (clients, classes); of a label no more than there are, what is left of it
            goes to no one.
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
    """Draws labels for all clients at once, without replacement.

    Every client asks for as many examples as it lacks, by its prior over the labels that are not
    used up. Where a label is asked for more often than it is there, chance decides who gets it,
    and the others ask again: so at least one label is used up in each turn but the last.

    Args:
        priors: float (clients, classes), of each client the weights of its labels.
        sizes: int (clients,), no more in all than there are examples.
        supply: int (classes,), examples of each label.
        rng: what is drawn from.

    Returns:
        int64 (clients, classes): examples of each label for each client; rows add up to `sizes`.

    """
    counts = np.zeros(priors.shape, np.int64)
    lacking, left = sizes.astype(np.int64), supply.astype(np.int64)
    while lacking.any():
        asking = np.flatnonzero(lacking)
        wanted = priors[asking] * (left > 0)
        # Whose labels have all run out takes of the rest what there is.
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
    """Int64 counts in proportion to `shares` (..., n), n parts of int `total` (...).

    The running total is rounded, so that nothing is lost: each count is within one of its share.
    Where all shares are 0, so are the counts.
    """
    ends = np.cumsum(shares, axis=-1)
    of_all = ends / np.where(ends[..., -1:] > 0, ends[..., -1:], 1)
    ends = np.rint(of_all * np.asarray(total)[..., None]).astype(np.int64)
    return np.diff(ends, axis=-1, prepend=0)


def apportioned(weights: np.ndarray, seats: int) -> np.ndarray:
    """Int64 (n,) adding up to `seats`, in proportion to `weights` by largest remainder."""
    shares = weights / weights.sum() * seats
    given = np.floor(shares).astype(np.int64)
    most = np.argsort(given - shares, kind="stable")[: seats - given.sum()]
    given[most] += 1
    return given


def groups_of(member: np.ndarray) -> list[np.ndarray]:
    """For each group that has any, the int positions of its members: of int (n,), their groups."""
    order = np.argsort(member, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(member[order])) + 1)


def assign(
    chosen: Section,
    pool: Pool,
    rng: np.random.Generator,
    sizes: Optional[Callable[[], np.ndarray]] = None,
) -> np.ndarray:
    """Runs the chosen split until every client holds `min_examples`.

    Args:
        chosen: the split.
        pool: the examples.
        rng: what the split draws from.
        sizes: draws the clients' sizes for each attempt, int (clients,); None to leave them to
            the split.

    Returns:
        int64 (n,): the client of each example, 0 .. pool.clients - 1; -1 for one that the split
        gives to nobody, which only few splits do and their descriptions say.

    Raises:
        DataError: more clients than examples allow, or no draw that fills every client.

    """
    entry = splits.entry(chosen)
    least: int = getattr(chosen, "min_examples")  # noqa: B009 - of SplitSettings
    examples = len(pool.labels)
    if pool.labels.ndim != 1 and not entry.spec.any_labels:
        able = ", ".join(n for n in splits.names() if splits[n].spec.any_labels)
        raise DataError(
            f"the split {entry.name} needs one label for each example; here an example has "
            f"several; splits that do not look at labels: {able}"
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
        client = np.asarray(entry.call(chosen, pool, rng))
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
    told = {k: getattr(chosen, k) for k in entry.keywords}
    keys = ", ".join(f"{k} {_brief(v)}" for k, v in told.items() if v is not False)
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
