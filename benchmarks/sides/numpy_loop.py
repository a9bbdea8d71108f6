"""FedAvg in a plain NumPy loop (float32) with nothing around it: the limit for the MLP.

Source: McMahan et al., AISTATS 2017, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from workloads import BATCH, RATE, Federation, Weights


def rounds(federation: Federation) -> Iterator[Weights]:
    server, number = federation.start, 0
    while True:
        number += 1
        total, mass = [np.zeros_like(w) for w in server], 0
        for client in federation.cohort(number):
            x, y = federation.examples(client, number)
            trained = train(server, x, y, federation.work.local_epochs)
            total = [t + np.float32(len(y)) * w for t, w in zip(total, trained)]
            mass += len(y)
        server = [t / np.float32(mass) for t in total]
        yield server


def train(weights: Weights, x: np.ndarray, y: np.ndarray, local_epochs: int) -> Weights:
    """Returns a client's weights after its local epochs."""
    x = x.reshape(len(x), -1)
    for _ in range(local_epochs):
        for begin in range(0, len(x), BATCH):
            batch = slice(begin, begin + BATCH)
            slope = gradient(weights, x[batch], y[batch])
            weights = [w - np.float32(RATE) * g for w, g in zip(weights, slope)]
    return weights


def gradient(w: Weights, x: np.ndarray, y: np.ndarray) -> Weights:
    """Returns the gradient of the mean cross entropy of softmax(relu(x W1 + b1) W2 + b2)."""
    hidden = x @ w[0] + w[1]
    active = np.maximum(hidden, 0)
    logits = active @ w[2] + w[3]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(y)), y] -= 1
    shares /= len(y)
    back = (shares @ w[2].T) * (hidden > 0)
    return [x.T @ back, back.sum(axis=0), active.T @ shares, shares.sum(axis=0)]


def accuracy(w: Weights, x: np.ndarray, y: np.ndarray) -> float:
    logits = np.maximum(x.reshape(len(x), -1) @ w[0] + w[1], 0) @ w[2] + w[3]
    return float(np.mean(logits.argmax(axis=1) == y))
