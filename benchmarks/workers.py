"""Measures a round's time on a local TFF worker, on one remote worker and on two.

Run: ``uv run python benchmarks/workers.py``. Prints a Markdown table. All workers run on this
machine, over its loopback, each with one compute thread. This measures the cost of dividing a
round, and what two workers gain if each has its own core. The sides take turns in one process, and
the table shows ratios of medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import portpicker
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import federate
from pytest_federated.running.options import default_cache
from pytest_federated.scenario.schema import Scenario
from pytest_federated.tff.context import runtime, shutdown
from pytest_federated.training.loop import steps
from tabulate import tabulate

ROUNDS, TURNS = 6, 3
WORK = {
    "light: 100 clients, 5 epochs": ("packed", 100, 5),
    "heavy: 100 clients, 50 epochs": ("packed", 100, 50),
    "standard: 100 clients, 5 epochs": ("standard", 100, 5),
}


def scenario(clients: int, execution: str) -> Scenario:
    """Digits at clients with skewed labels, and a network of 128 hidden units."""
    return Scenario.model_validate(
        {
            "name": "workers",
            "data": {"dataset": "digits"},
            "clients": {"count": clients, "split": {"kind": "dirichlet", "alpha": 0.5}},
            "model": {"kind": "mlp", "hidden": [128]},
            "training": {"rounds": ROUNDS, "eval_every": 1000, "execution": execution},
        }
    )


def times(execution: str, clients: int, epochs: int, workers: Sequence[str]) -> list[float]:
    plan = scenario(clients, execution)
    training = plan.training.model_copy(update={"local_epochs": epochs, "rounds": ROUNDS})
    data = federate(plan.data, plan.clients, 0, Cache(default_cache()))
    runtime(1, tuple(workers)).start()
    rounds = steps(data, plan.model, training, clients, 0)
    next(rounds)  # the first round starts TensorFlow's sessions in the workers
    found = []
    for _ in range(ROUNDS - 2):  # the last round includes an evaluation
        began = time.perf_counter()
        next(rounds)
        found.append(time.perf_counter() - began)
    return found


def main() -> None:
    ports = [portpicker.pick_unused_port() for _ in range(2)]
    command = [sys.executable, "-m", "pytest_federated", "worker", "--threads", "1", "--port"]
    served = [
        subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, text=True) for port in ports
    ]
    try:
        for process in served:
            assert process.stdout and process.stdout.readline()
        addresses = [f"localhost:{port}" for port in ports]
        rows = []
        for name, work in WORK.items():
            found: dict[int, list[float]] = {count: [] for count in (0, 1, 2)}
            for _ in range(TURNS):
                for count in found:
                    found[count] += times(*work, addresses[:count])
            local, one, two = (statistics.median(found[count]) for count in (0, 1, 2))
            rows.append([name, f"{local:.3f}", f"{one / local:.2f}", f"{two / one:.2f}"])
    finally:
        shutdown()
        for process in served:
            process.terminate()
            process.wait()
    columns = ["round", "local, s", "one remote / local", "two remote / one"]
    print(tabulate(rows, columns, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
