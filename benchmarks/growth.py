"""Measures how the processor time of a session grows with its scenarios.

Run: ``uv run python benchmarks/growth.py``. Prints a Markdown table. From a base of one scenario
with one seed, one number at a time is multiplied by 4 and by 16. The processor times at n, 4n and
16n decide the three numbers of ``fixed + factor * n ** power``.

The work is noise of 8x8 with 10 labels, of 100 clients with 20 examples each, all of them in each
of 20 rounds, one local epoch, batches of 20, an MLP with 64 hidden units. Scenarios are the
variants of a matrix of splits.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from suite import ROOT, Cost, cost
from tabulate import tabulate

_FILE = """\
schema: 1
name: growth
data: {{dataset: {{npz: made.npz, test: made.npz, x_test: x_test, y_test: y_test}}}}
clients: {{count: {clients}, split: {{kind: dirichlet, alpha: 1}}}}
model: {{kind: mlp, hidden: [{hidden}]}}
training: {{rounds: 20, batch_size: 20, client_optimizer: {{kind: sgd, learning_rate: 0.1}}}}
seeds: {seeds}
matrix: {{clients.split.alpha: {alphas}}}
"""


class Size(NamedTuple):
    """How large a session is."""

    clients: int = 100
    examples: int = 20
    hidden: int = 64
    seeds: int = 1
    scenarios: int = 1


_NAMES = {
    "clients": "clients in a round",
    "examples": "examples of a client",
    "hidden": "hidden units",
    "seeds": "seeds",
    "scenarios": "scenarios with the same model",
}


def measure(size: Size, turns: int) -> Cost:
    """Returns the least processor time of a session of this size in some turns."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        examples = {"": size.clients * size.examples, "_test": 500}
        np.savez(
            Path(folder, "made.npz"),
            **{f"x{s}": rng.random((n, 8, 8, 1), np.float32) for s, n in examples.items()},
            **{f"y{s}": (np.arange(n) % 10).astype(np.int32) for s, n in examples.items()},
        )
        alphas = [1 + place for place in range(size.scenarios)]
        seeds = list(range(size.seeds))
        text = _FILE.format(clients=size.clients, hidden=size.hidden, seeds=seeds, alphas=alphas)
        file = Path(folder, "growth.scenario.yaml")
        file.write_text(text, encoding="utf-8")
        return min((cost(ROOT, str(file)) for _ in range(turns)), key=lambda one: one.total)


def fitted(times: list[float]) -> tuple[str, str]:
    """Returns the fixed part and the power of the growth, from the times at n, 4n and 16n."""
    first, second = times[1] - times[0], times[2] - times[1]
    if first <= 0 or second <= 0:
        return "all", "below the noise"
    power = math.log(second / first, 4)
    fixed = times[0] - first / (4**power - 1) if second > first else float("nan")
    return ("" if math.isnan(fixed) else f"{fixed:.1f}"), f"{power:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1)
    turns = parser.parse_args().turns
    base = measure(Size(), turns)
    rows: list[list[str]] = []
    heads = ["with", "n", "at n, s", "at 4n, s", "at 16n, s", "fixed, s", "grows by the power"]
    for name, title in _NAMES.items():
        least: int = getattr(Size(), name)
        larger = [measure(Size()._replace(**{name: least * times}), turns) for times in (4, 16)]
        times = [one.total for one in (base, *larger)]
        rows.append([title, str(least), *(f"{s:.1f}" for s in times), *fitted(times)])
        print(tabulate([rows[-1]], heads, tablefmt="github", disable_numparse=True))
    print(tabulate(rows, heads, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
