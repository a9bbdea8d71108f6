"""The clients that take part in a round, what each trains on, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from pytest_federated.clients.attacks.attack import Attack, attack, attackers
from pytest_federated.clients.attacks.poisoning import poisoned, require_images
from pytest_federated.clients.dropout.dropout import stays
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import draw, largest_cohort
from pytest_federated.clients.stragglers.straggler import (
    doing_all,
    slow_down,
    without_stragglers,
)
from pytest_federated.core.errors import DataError
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.datasets.rows import GrayLevels
from pytest_federated.data.federation import FederatedData
from pytest_federated.registry.registry import kind

# Near 2**32 divided by the golden ratio: a generator for each client would take longer.
_ODD = np.uint64(0x9E3779B1)


# Examples of a batch that holds all of a client's: more than any client has, and small enough for a
# sum of two to be an int32.
ALL = 2**30


# The factor of a client whose own update is not sent: it leaves nothing of it.
CRAFTED = 0.0


class LocalWork(NamedTuple):
    """The work of every client of a round: `epochs` passes over batches of `batch_size`.

    A `batch_size` that is a float is a share of the client's examples, see `batch_sizes`.
    With `steps` each client does so many local steps instead, and goes through its batches as often
    as they need; `epochs` is 1 then.
    """

    batch_size: Union[int, float]
    epochs: int
    steps: Optional[int] = None

    def steps_of(self, sizes: np.ndarray) -> np.ndarray:
        """Returns the local steps of clients with so many examples, int (n,) both.

        A client without examples does none.
        """
        if self.steps is not None:
            return np.where(sizes > 0, self.steps, 0)
        return -(-sizes // self.batch_sizes(sizes)) * self.epochs

    def most_steps(self, examples: int = ALL) -> int:
        """Returns the local steps of a client with so many examples, by default more than any."""
        return int(self.steps_of(np.array([examples]))[0])

    def batch_sizes(self, sizes: np.ndarray) -> np.ndarray:
        """Returns the examples in a batch of clients with so many examples, int (n,) both."""
        return batch_sizes(self.batch_size, sizes)

    def batch_size_of(self, examples: int) -> int:
        """Returns the examples in a batch of a client with so many examples."""
        return int(self.batch_sizes(np.array([examples]))[0])


def batch_sizes(batch_size: Union[int, float], sizes: np.ndarray) -> np.ndarray:
    """Returns the examples in a batch of clients with so many examples, int (n,) both.

    A float is a share of these, rounded up, so that a share of 0.1 makes at most ten batches.
    """
    if isinstance(batch_size, int):
        return np.full(len(sizes), batch_size)
    # 1e-9 less, as 0.1 * 30 is 3.0000000000000004.
    return np.maximum(np.ceil(batch_size * sizes - 1e-9), 1).astype(np.int64)


@dataclass(frozen=True)
class Cohort:
    """The clients that take part in a round, and what each does.

    Attributes:
        clients: int (n,), positions in the federation; none where all dropped out.
        rows: the examples of each of these clients, in the order in which it trains on them.
            Their features need not be arrays, but `Rows`.
        steps: int (n,), local steps that each does; it goes through its batches repeatedly.
        factors: float32 (n,), what each multiplies its update by; 1 for honest clients, and
            `CRAFTED` for attackers that send what they craft together.
        keys: int32 (n,), from which layers that draw random numbers draw them in this round.
        dropped: number of clients that were drawn and dropped out.
        stragglers: number of clients that do only a part of their local steps.
        attackers: number of clients that attack.

    """

    clients: np.ndarray
    rows: Sequence[Examples]
    steps: np.ndarray
    factors: np.ndarray
    keys: np.ndarray
    dropped: int = 0
    stragglers: int = 0
    attackers: int = 0

    @cached_property
    def examples(self) -> Sequence[Examples]:
        """`rows` with features as arrays."""
        return [Examples(np.asarray(own.x), own.y) for own in self.rows]

    def planned_examples(self, batch_size: Union[int, float]) -> int:
        """Returns how many examples these clients process in their local steps, in all epochs."""
        sizes, epochs, rest = self._progress(batch_size)
        return int((epochs * sizes + rest).sum())

    def passes(self, batch_size: Union[int, float]) -> list[np.ndarray]:
        """Returns how often each client processes each of its examples, int (examples,) each."""
        return [
            epochs + (np.arange(size) < rest)
            for size, epochs, rest in zip(*self._progress(batch_size))
        ]

    def _progress(self, batch_size: Union[int, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns int (n,): examples, whole epochs, and examples of the last, partial epoch."""
        sizes = np.array([len(e) for e in self.rows], np.int64)
        of_client = batch_sizes(batch_size, sizes)
        batches = -(-sizes // of_client)
        epochs, rest = np.divmod(self.steps, np.maximum(batches, 1))
        return sizes, epochs, np.minimum(rest * of_client, sizes)


def cohort_of_round(
    data: FederatedData,
    size: int,
    seed: int,
    round_number: int,
    work: LocalWork,
    participation: Optional[Participation] = None,
) -> Cohort:
    """Draws the clients of a round, `size` of them where all goes well, and reads their examples.

    Args:
        data: the federation.
        size: clients in each round, as the scenario says.
        seed: of the training.
        round_number: from 1.
        work: batch size and local epochs, which give the local steps.
        participation: how clients are drawn, drop out, straggle and attack; by default none do.

    Raises:
        DataError: sampling, dropout or stragglers do not fit the federation.

    """
    participation = participation or Participation()
    population = data.population
    clients = draw(participation.sampling, population, size, seed, round_number)
    drawn = len(clients)
    if participation.dropout is not None:
        clients = clients[stays(participation.dropout, population, clients, seed, round_number)]
    steps = work.steps_of(data.sizes[clients])
    slow = np.zeros(len(clients), bool)
    if participation.stragglers is not None:
        most = largest_cohort(participation.sampling, len(population), size)
        if reason := without_stragglers(participation.stragglers, most):
            raise DataError(f"clients.stragglers.share: {reason}")
        most_steps = work.most_steps(int(data.sizes.max()))
        if reason := doing_all(participation.stragglers, most_steps, work.epochs):
            raise DataError(f"clients.stragglers: {reason}")
        steps, slow = slow_down(participation.stragglers, steps, work.epochs, seed, round_number)
        if participation.stragglers.drop:  # type: ignore[attr-defined]  # of every kind of straggler
            clients, steps, slow = clients[~slow], steps[~slow], slow[~slow]
    cohort = Cohort(
        clients,
        [shuffled_rows(data, c, seed, round_number) for c in clients],
        steps,
        np.ones(len(clients), np.float32),
        layer_keys(clients, seed, round_number),
        dropped=drawn - len(clients),
        stragglers=int(slow.sum()),
    )
    return _with_attacks(cohort, data, participation, seed)


def layer_keys(clients: np.ndarray, seed: int, round_number: int) -> np.ndarray:
    """Returns the keys, int32 (n,), from which the layers of these clients draw in a round.

    Those of different clients differ, and so do those of different rounds.
    """
    begin = int(generator(seed, Stream.LAYERS, round_number).integers(2**31))
    return ((clients.astype(np.uint64) * _ODD + begin) % 2**31).astype(np.int32)


def most_often(
    data: FederatedData, size: int, seed: int, rounds: int, participation: Participation
) -> int:
    """Returns how often the client that is drawn most often is drawn in these rounds."""
    drawn = np.zeros(len(data.population), np.int64)
    for number in range(1, rounds + 1):
        np.add.at(drawn, draw(participation.sampling, data.population, size, seed, number), 1)
    return int(drawn.max())


def _with_attacks(
    cohort: Cohort, data: FederatedData, participation: Participation, seed: int
) -> Cohort:
    """Returns the cohort with its attackers' labels and factors."""
    if participation.attacks is None:
        return cohort
    effect = attack(participation.attacks)
    if effect.labels and data.task == "regression":
        raise DataError(
            f"clients.attacks: {kind(participation.attacks)} changes labels; these examples have "
            "numbers (task: regression)"
        )
    attacking = attackers(participation.attacks, len(data.population), seed)
    is_attacker = attacking[cohort.clients]
    if effect.trigger is not None:
        most = int(data.population.sizes[attacking].max(initial=0))
        require_images(data, effect.trigger, most)
    rows = [
        _attacked(honest, effect, data.num_classes) if attacks else honest
        for honest, attacks in zip(cohort.rows, is_attacker)
    ]
    factor = CRAFTED if effect.craft else effect.factor
    return replace(
        cohort,
        rows=rows,
        factors=np.where(is_attacker, factor, 1.0).astype(np.float32),
        attackers=int(is_attacker.sum()),
    )


def _attacked(own: Examples, effect: Attack, num_classes: int) -> Examples:
    """Returns what an attacker trains on in place of its examples."""
    if effect.labels:
        own = Examples(own.x, effect.labels(own.y, num_classes))
    return own if effect.trigger is None else poisoned(own, effect.trigger)


def shuffled_examples(data: FederatedData, client: int, seed: int, round_number: int) -> Examples:
    """Returns the client's examples in the order in which it trains on them in this round.

    They are shuffled once a round; all local epochs of the round go through the same batches, as in
    McMahan et al., AISTATS 2017, algorithm 1 (the split into batches precedes the epochs). What a
    data set changes at random in training is drawn once a round, too.
    """
    rng = generator(seed, Stream.BATCHES, round_number, client)
    if not data.shift:  # read in the order in which they are used, and so copied once
        return data.train.take(rng.permutation(data.clients[client]), rng)
    order = rng.permutation(len(data.clients[client]))
    return data.examples(client, rng).take(order)


def shuffled_rows(data: FederatedData, client: int, seed: int, round_number: int) -> Examples:
    """Returns `shuffled_examples`, as `GrayLevels` where bytes are all that there is to read."""
    if data.levels is None:
        return shuffled_examples(data, client, seed, round_number)
    rng = generator(seed, Stream.BATCHES, round_number, client)
    order = rng.permutation(len(data.clients[client]))
    levels: Any = np.asarray(data.levels[data.clients[client][order]])
    return Examples(GrayLevels(levels), data.training_labels(client)[order])
