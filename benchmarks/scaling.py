"""The cost of a population: measured on small federations, predicted and checked on large ones.

Run: ``uv run python benchmarks/scaling.py``. Prints Markdown tables: the measurements that the
model is fitted to, its coefficients, and prediction against measurement for 1,000 clients per round
out of 100,000 and out of 1,000,000.

The work is synthetic data of 8x8 with 10 labels, 10 examples per client unless stated otherwise, an
MLP 64-128-10, one local epoch, and batches of 20. The data is not in memory; rows are generated
when they are read.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest_federated
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, Loaded
from pytest_federated.data.federation import federate
from pytest_federated.scenario.schema import Scenario
from pytest_federated.tff.context import runtime, shutdown
from pytest_federated.training.loop import steps
from tabulate import tabulate

ROUNDS = 12
BATCH = 20
LABELS = 10


class Generated:
    """Rows of noise that are generated when read; a position always has the same row."""

    dtype = np.dtype(np.float32)

    def __init__(self, rows: int) -> None:
        self.shape = (rows, 8, 8, 1)
        self._noise = np.random.default_rng(0).random((4099, 8, 8, 1), np.float32)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(self.shape[0])[index]
        return self._noise[index % len(self._noise)]


@pytest_federated.dataset("made")
def made(cache: Cache, *, examples: int) -> Dataset:
    """Synthetic data with the requested number of examples."""

    def load(_: object) -> Loaded:
        labels = (np.arange(examples) % LABELS).astype(np.int32)
        test = Examples(Generated(1000)[:], (np.arange(1000) % LABELS).astype(np.int32))
        return Loaded(Examples(Generated(examples), labels), None, test)

    return Dataset("made", LABELS, (), load)


class Size(NamedTuple):
    population: int
    cohort: int
    per_client: int = 10

    @property
    def steps(self) -> int:
        """Local steps of all clients in a round."""
        return self.cohort * -(-self.per_client // BATCH)


class Cost(NamedTuple):
    describe: float  # seconds
    round: float  # seconds, median
    memory: float  # MiB: peak of this process and TFF's worker, above where they begin


def measure(size: Size) -> Cost:
    """Measures in this process, which must be new, as a peak of memory stays."""
    scenario = Scenario.model_validate(
        {
            "name": "scaling",
            "data": {"dataset": {"kind": "made", "examples": size.population * size.per_client}},
            "clients": {"count": size.population, "per_round": size.cohort},
            "model": {"kind": "mlp", "hidden": [128]},
            "training": {"rounds": ROUNDS + 3, "eval_every": 1000, "batch_size": BATCH},
        }
    )
    small = scenario.clients.model_copy(update={"count": 10, "per_round": 10})
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        runtime().start()
        tiny = scenario.data.model_validate({"dataset": {"kind": "made", "examples": 100}})
        few = federate(tiny, small, 0, cache)
        warm = steps(few, scenario.model, scenario.training, 10, 0)
        next(warm)  # traces, and starts TensorFlow's sessions
        before = peak()
        began = time.perf_counter()
        data = federate(scenario.data, scenario.clients, 0, cache)
        described = time.perf_counter() - began
    rounds = steps(data, scenario.model, scenario.training, size.cohort, 0)
    next(rounds)
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        next(rounds)
        times.append(time.perf_counter() - began)
    cost = Cost(described, statistics.median(times), peak() - before)
    shutdown()
    return cost


def peak() -> float:
    """Returns the peak memory of this process and TFF's worker, in MiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    local: Any = runtime()
    worker = local.worker.pid
    status = Path(f"/proc/{worker}/status").read_text() if worker else ""
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM")]
    return own + sum(int(line[1]) for line in lines) / 1024


def measure_separately(size: Size) -> Cost:
    """Runs `measure` in a separate process."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, size)], capture_output=True, text=True, check=True
    )
    return Cost(*map(float, done.stdout.split()))


FITTED = [
    Size(1_000, 10),
    Size(1_000, 50),
    Size(1_000, 200),
    Size(1_000, 50, 80),
    Size(1_000, 200, 80),
    Size(10_000, 200),
    Size(50_000, 200),
]
PREDICTED = [Size(100_000, 1_000), Size(1_000_000, 1_000)]


def terms(size: Size) -> tuple[list[float], list[float]]:
    """Returns the terms in which seconds per round, and memory, are modeled as linear."""
    held = size.population * size.per_client
    seconds = [1, size.cohort, size.steps, size.population]
    memory = [1, size.cohort * size.per_client, held]
    return [float(t) for t in seconds], [float(t) for t in memory]


def fit(rows: list[list[float]], measured: list[float]) -> np.ndarray:
    """Returns nonnegative coefficients; relative errors are minimized, as sizes vary widely."""
    from scipy.optimize import nnls

    weights = 1 / np.array(measured)
    return nnls(np.array(rows) * weights[:, None], np.ones(len(measured)))[0]


def main() -> None:
    costs = {size: measure_separately(size) for size in FITTED}
    seconds = fit([terms(s)[0] for s in FITTED], [costs[s].round for s in FITTED])
    memory = fit([terms(s)[1] for s in FITTED], [costs[s].memory for s in FITTED])
    columns = ["population", "clients a round", "examples a client", "s to describe", "s a round"]
    rows = [
        [f"{s.population:,}", *s[1:], f"{c.describe:.2f}", f"{c.round:.3f}", f"{c.memory:.0f}"]
        for s, c in costs.items()
    ]
    print(tabulate(rows, [*columns, "MiB more"], tablefmt="github", disable_numparse=True))
    named = ["a round", "a client", "a local step", "a client of the population"]
    print(
        "\nSeconds: "
        + " + ".join(f"{1e6 * c:,.1f} us x {n}" for c, n in zip(seconds, named))
        + f"; memory: {memory[0]:.0f} MiB + {2**20 * memory[1]:,.0f} bytes x example of the "
        + f"cohort + {2**20 * memory[2]:,.0f} bytes x example of the population.\n"
    )
    rows = []
    for size in PREDICTED:
        cost = measure_separately(size)
        guess = float(np.dot(terms(size)[0], seconds)), float(np.dot(terms(size)[1], memory))
        rows.append(
            [
                f"{size.population:,}",
                f"{size.cohort:,}",
                f"{guess[0]:.3f}",
                f"{cost.round:.3f}",
                f"{guess[0] / cost.round:.2f}",
                f"{guess[1]:.0f}",
                f"{cost.memory:.0f}",
                f"{guess[1] / cost.memory:.2f}",
                f"{cost.describe:.1f}",
            ]
        )
    columns = ["population", "clients a round", "s a round, predicted", "measured", "ratio"]
    columns += ["MiB more, predicted", "measured", "ratio", "s to describe"]
    print(tabulate(rows, columns, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*measure(Size(*map(int, sys.argv[1:]))))
    else:
        main()
