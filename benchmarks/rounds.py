"""Time of a round: this harness, bare TFF, and plain NumPy as the limit, on the same work.

Run: ``uv run python benchmarks/rounds.py [CLIENTS...]``. Prints a Markdown table. The work: digits,
MLP 64-128-10, all clients in every round, 5 local epochs, batches of 20. All sides run in turn in
one process, several times over, and the medians are compared as ratios: the machine may be shared.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from test_numpy_reference import gradient

from harness.data.datasets import Cache
from harness.data.federate import FederatedData, federate
from harness.runtime.context import runtime
from harness.scenario import Scenario
from harness.training.cohorts import shuffled_examples
from harness.training.execution import standard
from harness.training.loop import steps
from harness.training.process import _variable, process_for

ROUNDS, TURNS = 5, 2


def scenario(clients: int, execution: str) -> Scenario:
    skewed = {"kind": "dirichlet", "alpha": 0.5}
    return Scenario.model_validate(
        {
            "name": "benchmark",
            "data": {"dataset": "digits"},
            # Dirichlet leaves clients empty where there are hardly more examples than clients.
            "clients": {"count": clients, "split": skewed if clients <= 100 else "iid"},
            "model": {"kind": "mlp", "hidden": [128]},
            "training": {
                "rounds": ROUNDS + 1,
                "local_epochs": 5,
                "eval_every": 1000,
                "execution": execution,
            },
        }
    )


def harness_side(data: FederatedData, plan: Scenario) -> Callable[[], list[float]]:
    def run() -> list[float]:
        rounds = steps(data, plan.model, plan.training, len(data.clients), 0)
        next(rounds)  # the first one starts TensorFlow's sessions in the worker
        times = []
        for _ in range(ROUNDS - 1):  # the last round of all is evaluated
            began = time.perf_counter()
            next(rounds)
            times.append(time.perf_counter() - began)
        return times

    return run


def bare_side(
    tff: Any, data: FederatedData, plan: Scenario, loop: str
) -> Callable[[], list[float]]:
    """A TFF user's own loop: the same model and datasets, nothing of the harness in between."""
    import tensorflow as tf

    process = process_for(plan.model, plan.training, data)
    spec = {
        "x": tf.TensorSpec((None, *data.train.x.shape[1:]), tf.float32),
        "y": tf.TensorSpec((None,), tf.int32),
    }
    learning = tff.learning.algorithms.build_weighted_fed_avg(
        _variable(lambda: tf.keras.models.clone_model(process.keras_model), process.loss, spec),
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.1),
        loop_implementation=getattr(tff.learning.LoopImplementation, loop),
    )

    def run() -> list[float]:
        state = learning.initialize()
        times = []
        for number in range(ROUNDS + 1):
            began = time.perf_counter()
            examples = [shuffled_examples(data, c, 0, number) for c in range(len(data.clients))]
            state = learning.next(state, standard.datasets(examples, plan.training)).state
            times.append(time.perf_counter() - began)
        return times[1:]

    return run


def numpy_side(data: FederatedData, plan: Scenario) -> Callable[[], list[float]]:
    start = [
        np.asarray(w.numpy())
        for w in process_for(plan.model, plan.training, data).initial_weights(0).trainable
    ]

    def run() -> list[float]:
        server, times = start, []
        for number in range(ROUNDS):
            began = time.perf_counter()
            total = [np.zeros_like(w) for w in server]
            for client in range(len(data.clients)):
                examples = shuffled_examples(data, client, 0, number)
                x, local = examples.x.reshape(len(examples), -1), server
                for _ in range(plan.training.local_epochs):
                    for b in range(0, len(examples), plan.training.batch_size):
                        batch = slice(b, b + plan.training.batch_size)
                        step = gradient(local, x[batch], examples.y[batch])
                        local = [w - np.float32(0.1) * g for w, g in zip(local, step)]
                total = [t + np.float32(len(examples)) * w for t, w in zip(total, local)]
            server = [t / np.float32(len(data.train)) for t in total]
            times.append(time.perf_counter() - began)
        return times

    return run


def main() -> None:
    tff = runtime().start()
    rows = []
    for clients in [int(a) for a in sys.argv[1:]] or [10, 100]:
        packed, plain = scenario(clients, "packed"), scenario(clients, "standard")
        with tempfile.TemporaryDirectory() as folder:
            data = federate(packed.data, packed.clients, 0, Cache(Path(folder)))
        sides = {
            "NumPy": numpy_side(data, packed),
            "pytest-federated, packed": harness_side(data, packed),
            "pytest-federated, standard": harness_side(data, plain),
            "bare TFF, DATASET_ITERATOR": bare_side(tff, data, plain, "DATASET_ITERATOR"),
        }
        if clients <= 100:  # beyond, one round of it takes longer than all the others together
            sides["bare TFF, DATASET_REDUCE"] = bare_side(tff, data, plain, "DATASET_REDUCE")
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(TURNS):
            for name, side in sides.items():
                times[name] += side()
        median = {name: statistics.median(t) for name, t in times.items()}
        rows += [
            [
                clients,
                name,
                f"{seconds:.3f}",
                f"{seconds / median['NumPy']:.1f}",
                f"{seconds / median['pytest-federated, packed']:.2f}",
                f"{clients / seconds:,.0f}",
            ]
            for name, seconds in median.items()
        ]
    columns = ["clients", "side", "s a round", "x NumPy", "x packed", "clients a second"]
    print(tabulate(rows, columns, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
