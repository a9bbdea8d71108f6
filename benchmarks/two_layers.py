"""Compares the processor time of rounds of the 2NN with a NumPy loop, evaluation included.

Run: ``uv run python benchmarks/two_layers.py [--rounds N]``; it needs Fashion-MNIST. The 2NN of
McMahan et al., AISTATS 2017 (784-200-200-10) trains on 10 of 100 clients in each round, with one
local epoch and batches of 10, and is evaluated on the 10,000 test examples after each. Rounds of
both sides alternate in one process. NumPy computes in one thread: with more, it takes more
processor time.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
from pytest_federated.clients.cohort import cohort_of_round
from pytest_federated.clients.schema import Clients
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data
from pytest_federated.tff.context import Runtime, runtime, shutdown
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training

COHORT, BATCH, RATE, SEED = 10, 10, 0.1, 0
MODEL = models.parse({"kind": "mlp", "hidden": [200, 200]})
TRAINING = Training.model_validate(
    {
        "rounds": 1_000_000,
        "local_epochs": 1,
        "batch_size": BATCH,
        "client_optimizer": {"kind": "sgd", "learning_rate": RATE},
    }
)


def in_numpy(data: FederatedData, weights: list[np.ndarray]) -> Iterator[float]:
    """Trains in a plain NumPy loop, float32; yields each round's test loss."""
    x = np.asarray(data.test.x).reshape(len(data.test), -1)
    number = 0
    while True:
        number += 1
        cohort = cohort_of_round(data, COHORT, SEED, number, TRAINING.local_work)
        total, mass = [np.zeros_like(w) for w in weights], 0
        for client in cohort.rows:
            inputs, local = np.asarray(client.x).reshape(len(client), -1), weights
            for begin in range(0, len(client), BATCH):
                batch = slice(begin, begin + BATCH)
                slopes = gradient(local, inputs[batch], client.y[batch])
                local = [w - np.float32(RATE) * g for w, g in zip(local, slopes)]
            total = [t + np.float32(len(client)) * w for t, w in zip(total, local)]
            mass += len(client)
        weights = [t / np.float32(mass) for t in total]
        logits = forward(weights, x)[-1]
        logits -= logits.max(axis=1, keepdims=True)
        right = logits[np.arange(len(x)), data.test.y]
        yield float((np.log(np.exp(logits).sum(axis=1)) - right).mean())


def forward(w: list[np.ndarray], x: np.ndarray) -> list[np.ndarray]:
    """Returns the outputs of each layer; the last are logits."""
    first = np.maximum(x @ w[0] + w[1], 0)
    second = np.maximum(first @ w[2] + w[3], 0)
    return [first, second, second @ w[4] + w[5]]


def gradient(w: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Returns the gradient of the mean cross entropy."""
    first, second, logits = forward(w, x)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(y)), y] -= 1
    shares /= np.float32(len(y))
    back = (shares @ w[4].T) * (second > 0)
    further = (back @ w[2].T) * (first > 0)
    pairs = ((x, further), (first, back), (second, shares))
    return [part for i, o in pairs for part in (i.T @ o, o.sum(axis=0))]


def processor_time(pid: Optional[int]) -> float:
    """Returns the seconds of processor time of this process and of that of TFF's worker."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat") if pid else ()
    return time.process_time() + sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="of each side")
    rounds = parser.parse_args().rounds
    clients = Clients.model_validate({"count": 100, "split": "iid"})
    with tempfile.TemporaryDirectory() as folder:
        settings = Data.model_validate({"dataset": "fashion_mnist"})
        data = federate(settings, clients, SEED, Cache(Path(folder)))
    local: Any = runtime()
    assert isinstance(local, Runtime)
    local.start()
    trainer = trainer_for(MODEL, TRAINING, data, COHORT)
    weights = [np.asarray(w) for w in trainer.initial_weights(SEED).trainable]
    ours = (float(done.round.loss or 0) for done in steps(data, MODEL, TRAINING, COHORT, SEED))
    sides = {"NumPy loop": in_numpy(data, weights), "pytest-federated, packed": ours}
    losses = {name: [next(side) for _ in range(3)] for name, side in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            began = processor_time(local.worker.pid)
            losses[name].append(next(side))
            seconds[name].append(processor_time(local.worker.pid) - began)
    first, second = losses.values()
    np.testing.assert_allclose(first[0], second[0], rtol=1e-5)  # later, rounding has grown
    limit = statistics.median(seconds["NumPy loop"])
    print("| side | processor time of a round, ms | x NumPy loop |\n|---|---|---|")
    for name, measured in seconds.items():
        median = statistics.median(measured)
        print(f"| {name} | {1000 * median:.0f} | {median / limit:.2f} |")
    shutdown()


if __name__ == "__main__":
    main()
