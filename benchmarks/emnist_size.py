"""TFF's EMNIST at its real size: decoding, starting again, rounds, evaluations, memory.

Run: ``uv run python benchmarks/emnist_size.py``. Writes a file of exactly TFF's format, 3,383
writers with 341,873 + 40,832 digits (1.6 GB, of noise), and prints a Markdown table. Each row is
measured in its own process: the first one decodes the file, the others find it decoded.
``--folder`` keeps the file for another run, ``--writers`` makes a smaller one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy as np
from tabulate import tabulate

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from emnist_file import FILE, write_emnist  # noqa: E402

WRITERS = 3383
DIGITS = {"digits_only_train": 341_873, "digits_only_test": 40_832}
ROUNDS, TURNS = 10, 15


def write(file: Path, writers: int) -> None:
    """Writes the digits as TFF publishes them; with fewer writers, as many of each on average."""
    rng = np.random.default_rng(0)
    sizes: dict[str, list[int]] = {}
    for split, digits in DIGITS.items():
        rest = digits * writers // WRITERS - writers
        sizes[split] = (1 + rng.multinomial(rest, rng.dirichlet(np.full(writers, 8.0)))).tolist()
    write_emnist(file, sizes)


def measure(folder: Path) -> dict[str, float]:
    """Measures in this process, which must be new."""
    from pytest_federated.data.datasets.dataset import Cache, Examples
    from pytest_federated.data.federation import federate
    from pytest_federated.scenario.schema import Scenario
    from pytest_federated.tff.context import runtime, shutdown
    from pytest_federated.training.engine.build import trainer_for
    from pytest_federated.training.evaluation.central import evaluate
    from pytest_federated.training.loop import steps

    scenario = Scenario.model_validate(
        {
            "name": "emnist-size",
            "data": {"dataset": "emnist"},
            "clients": {"split": "natural", "per_round": 10},
            "model": {"kind": "mlp", "hidden": [128]},
            "training": {"rounds": ROUNDS, "batch_size": 20},
        }
    )
    runtime().start()
    figures = {"MiB of imports": _memory()}
    began, used = time.perf_counter(), _processor()
    data = federate(scenario.data, scenario.clients, 0, Cache(folder))
    for client in range(10):
        data.examples(client)
    figures["s to the first cohort"] = time.perf_counter() - began
    figures["processor s"] = _processor() - used
    figures["MiB with the data"] = _memory()
    for step in steps(data, scenario.model, scenario.training, 10, 0):
        at = time.perf_counter()
        figures["s to the first round" if step.round.round == 1 else "s to the last round"] = (
            at - began
        )
    figures["MiB after ten rounds"] = _memory()
    assert len(data.names) >= 10
    adapter = trainer_for(scenario.model, scenario.training, data, 10).adapter

    in_memory = Examples(np.array(data.test.x[:]), data.test.y)
    # In turns, as other work on the machine comes and goes.
    turns = [
        [_seconds(partial(evaluate, adapter, test)) for test in (data.test, in_memory)]
        for _ in range(TURNS)
    ]
    figures["s an evaluation"], figures["s of an array"] = map(statistics.median, zip(*turns))
    shutdown()
    return figures


def _seconds(do: Callable[[], Any]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory() -> float:
    """Returns the memory of this process, in MiB, without pages that are those of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--writers", type=int, default=WRITERS)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / FILE).is_file():
            write(folder / FILE, arguments.writers)
        runs = []
        for _ in range(3):
            command = [sys.executable, __file__, "--measure", "--folder", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    rows = [[name, *(f"{run[name]:.2f}" for run in runs)] for name in runs[0]]
    print(tabulate(rows, ["", "first run", "second", "third"], tablefmt="github"))


if __name__ == "__main__":
    main()
