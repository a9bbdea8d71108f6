"""FedAvg in NumPy: an MLP with any number of layers, its gradient by hand, and nothing else.

Source: McMahan et al., AISTATS 2017, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cross.federation import Federation, Judged, Weights


def train(federation: Federation) -> Iterator[Judged]:
    """Trains in float32; judges the server's model after each round."""
    server = federation.start
    for orders in federation.orders:
        server = after_round(server, orders, federation)
        yield judge(server, federation.test_x, federation.test_y)


def after_round(
    server: Weights, orders: Sequence[np.ndarray], federation: Federation
) -> list[np.ndarray]:
    """Returns the server's weights after a round."""
    total, mass = [np.zeros_like(w) for w in server], 0
    for order in orders:
        x, y = federation.x[order], federation.y[order]
        trained = local_training(server, x, y, federation)
        total = [t + np.float32(len(y)) * w for t, w in zip(total, trained)]
        mass += len(y)
    return [t / np.float32(mass) for t in total]


def local_training(
    weights: Weights, x: np.ndarray, y: np.ndarray, federation: Federation
) -> Weights:
    """Returns a client's weights after its epochs of SGD."""
    rate, size = np.float32(federation.rate), federation.batch_size
    for _ in range(federation.local_epochs):
        for begin in range(0, len(y), size):
            batch = slice(begin, begin + size)
            slopes = gradient(weights, x[batch], y[batch])
            weights = [w - rate * g for w, g in zip(weights, slopes)]
    return weights


def outputs(weights: Weights, x: np.ndarray) -> list[np.ndarray]:
    """Returns the inputs and the outputs of each layer; the last are logits."""
    layers = [x]
    for begin in range(0, len(weights), 2):
        out = layers[-1] @ weights[begin] + weights[begin + 1]
        layers.append(np.maximum(out, 0) if begin + 2 < len(weights) else out)
    return layers


def gradient(weights: Weights, x: np.ndarray, y: np.ndarray) -> Weights:
    """Returns the gradient of the mean cross entropy of a network with relu between its layers."""
    *layers, logits = outputs(weights, x)
    back = np.exp(logits - logits.max(axis=1, keepdims=True))
    back /= back.sum(axis=1, keepdims=True)
    back[np.arange(len(y)), y] -= 1
    back /= np.float32(len(y))
    slopes: list[np.ndarray] = []
    for n in reversed(range(len(layers))):
        slopes = [layers[n].T @ back, back.sum(axis=0), *slopes]
        if n:
            back = (back @ weights[2 * n].T) * (layers[n] > 0)
    return slopes


def judge(weights: Weights, x: np.ndarray, y: np.ndarray) -> Judged:
    """Returns accuracy and mean cross entropy."""
    logits = outputs(weights, x)[-1].astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]
    return Judged(float(np.mean(logits.argmax(axis=1) == y)), float(losses.mean()))
