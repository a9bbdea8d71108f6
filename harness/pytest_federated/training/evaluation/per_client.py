"""Figures of a model for each client by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, NamedTuple, Optional

import numpy as np

from pytest_federated.core.seeds import Stream, generator
from pytest_federated.data.datasets.dataset import Examples
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.evaluation.central import NO_SCORES, Scores, outputs, scored_by
from pytest_federated.training.models.adapters.adapter import ModelAdapter

# Limits that keep measuring a small part of the training: at most this many clients, and at most
# this many examples or, if that is more, this share of those that the training processed. A forward
# pass takes about a third of a training step.
_CLIENTS = 1000
_EXAMPLES = 5000
_SHARE = 0.2


class ClientFigures(NamedTuple):
    """The accuracy of each measured client, where the task has one, their positions, and scores."""

    accuracy: tuple[float, ...]
    clients: tuple[int, ...]
    scores: dict[str, tuple[Optional[float], ...]]


def client_figures(
    adapter: ModelAdapter,
    data: FederatedData,
    seed: int,
    processed: float,
    scores: Scores = NO_SCORES,
) -> ClientFigures:
    """Returns the accuracy and scores of the adapter's weights on each client's own examples.

    The examples are those that clients hold out for testing or, if none does, those they train on.
    A batch holds examples of many clients, so that the cost depends on examples only. Of many
    clients, some are drawn, from the seed.

    Args:
        adapter: the model, with its weights.
        data: the federation.
        seed: that of the training.
        processed: examples that the training processed, all rounds and epochs counted, of which
            the number of examples that are read is a share; infinity for no limit.
        scores: those to measure besides accuracy.
    """
    held = data.client_test or data.clients
    read = data.test_examples if data.client_test else data.examples
    return _figures(adapter, held, read, seed, processed, scores)


def unseen_figures(
    adapter: ModelAdapter, data: FederatedData, seed: int, processed: int
) -> ClientFigures:
    """Returns the accuracy of the adapter's weights on the examples of the clients never trained.

    Arguments as for `client_figures`.
    """
    return _figures(adapter, data.unseen, data.unseen_examples, seed, processed, NO_SCORES)


def _figures(
    adapter: ModelAdapter,
    held: Sequence[np.ndarray],
    read: Callable[[int], Examples],
    seed: int,
    processed: float,
    scores: Scores,
) -> ClientFigures:
    """Returns the figures of clients on what they hold, int positions, which `read` reads."""
    sampled = _sample(
        [len(positions) for positions in held], max(_EXAMPLES, _SHARE * processed), seed
    )
    correct, counted = (np.zeros(len(held), np.int64) for _ in range(2))
    largest = adapter.shape.batch()
    predicted: list[tuple[np.ndarray, ...]] = []  # of each batch: owners, labels, predictions
    for owner, batch in _batches(((c, read(c)) for c in sampled), largest):
        of_batch = outputs(adapter, batch, bool(scores))
        # Sums over the positions of each example.
        for total, hits in ((correct, of_batch.right), (counted, of_batch.counted)):
            if hits is not None:
                np.add.at(total, owner, hits.reshape(len(owner), -1).sum(axis=1))
        if of_batch.predictions is not None:
            predicted.append((owner, batch.y, of_batch.predictions))
    measured = np.flatnonzero(counted)
    accuracy = (correct[measured] / counted[measured]).tolist() if adapter.shape.task.hits else ()
    return ClientFigures(
        tuple(accuracy), tuple(measured.tolist()), _client_scores(scores, predicted, measured)
    )


def _client_scores(
    scores: Scores, predicted: list[tuple[np.ndarray, ...]], measured: np.ndarray
) -> dict[str, tuple[Optional[float], ...]]:
    """Returns each score of each client, None where its examples have none."""
    if not predicted:
        return {}
    owners, labels, predictions = (np.concatenate(of_all) for of_all in zip(*predicted))
    order = np.argsort(owners, kind="stable")
    ends = np.searchsorted(owners[order], measured, side="right")
    begins = np.searchsorted(owners[order], measured, side="left")
    of_clients = [
        scored_by(scores, labels[own], predictions[own])
        for own in (order[begin:end] for begin, end in zip(begins, ends))
    ]
    return {name: tuple(of.get(name) for of in of_clients) for name in scores}


def _sample(sizes: list[int], examples: float, seed: int) -> np.ndarray:
    """Returns random clients, sorted, that hold at most so many examples; at least one client."""
    order = generator(seed, Stream.CLIENT_FIGURES).permutation(len(sizes))[:_CLIENTS]
    fits = np.cumsum(np.array(sizes)[order]) <= examples
    return np.sort(order[: max(1, int(fits.sum()))])


def _batches(
    examples_by_client: Iterable[tuple[int, Examples]], largest: int
) -> Iterator[tuple[np.ndarray, Examples]]:
    """Yields the examples of all clients in batches, with the client that holds each example."""
    owners: list[np.ndarray] = []
    held: list[Examples] = []
    for client, examples in examples_by_client:
        owners.append(np.full(len(examples), client))
        held.append(examples)
        if sum(map(len, held)) >= largest:
            yield from _split(owners, held, largest)
            owners, held = [], []
    if sum(map(len, held)):
        yield from _split(owners, held, largest)


def _split(
    owners: list[np.ndarray], held: list[Examples], largest: int
) -> Iterator[tuple[np.ndarray, Examples]]:
    owner = np.concatenate(owners)
    joined = Examples(np.concatenate([h.x for h in held]), np.concatenate([h.y for h in held]))
    for start in range(0, len(owner), largest):
        window = slice(start, start + largest)
        yield owner[window], joined.take(window)
