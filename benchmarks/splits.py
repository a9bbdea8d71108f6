"""Measures time and memory of every split and size: 1,000,000 examples over 10,000 clients.

Run: ``uv run python benchmarks/splits.py [EXAMPLES [CLIENTS]]``. Prints a Markdown table. The
examples have ten labels, 3,400 natural clients and 64 features. Memory is the peak of what NumPy
allocates in addition to the examples, in a second run, as tracing slows the first one down.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from typing import Any, Callable

import numpy as np
from pytest_federated.data.heterogeneity import measure
from pytest_federated.data.sizes.size import draw, sizes
from pytest_federated.data.splits.partition import Pool, assign, splits
from tabulate import tabulate

LABELS, NATURAL, FEATURES = 10, 3400, 64
LOGNORMAL = sizes.parse({"kind": "lognormal", "sigma": 0.5})
FEW = 20  # clients whose clusters are fitted at once


def choices(clients: int) -> list[tuple[str, dict[str, Any], int]]:
    """Returns what to time: the title, the split and the number of clients."""
    rng = np.random.default_rng(0)
    keys: dict[str, dict[str, Any]] = {
        "dirichlet": {"alpha": 0.5},
        "dirichlet_priors": {"alpha": 0.5},
        "dirichlet_sequential": {"alpha": 0.5},
        "distribution": {"matrix": rng.random((clients, LABELS)).tolist()},
        "inner": {"split": "iid"},
        "labels_per_client": {"labels": 2},
    }
    fewer = {
        "exclusive": LABELS,
        "group_natural": NATURAL // 10,
        "natural": NATURAL,
    }
    return [
        *(
            (name, {"kind": name, **keys.get(name, {})}, fewer.get(name, clients))
            for name in splits.names()
        ),
        ("semantic", {"kind": "semantic"}, FEW),
    ]


def measured(run: Callable[[], Any]) -> tuple[float, float]:
    """Returns seconds, the best of up to three runs, and megabytes at the peak."""
    seconds = []
    while not seconds or (len(seconds) < 3 and sum(seconds) < 5):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(seconds), peak / 1e6


def main() -> None:
    examples, clients = [int(a) for a in sys.argv[1:]] + [1_000_000, 10_000][len(sys.argv) - 1 :]
    rng = np.random.default_rng(0)
    labels = rng.integers(LABELS, size=examples).astype(np.int32)
    natural = rng.integers(NATURAL, size=examples)
    x = rng.random((examples, FEATURES), np.float32)
    rows = []

    def add(name: str, count: int, run: Callable[[], Any]) -> None:
        seconds, peak = measured(run)
        rows.append([name, f"{count:,}", f"{seconds:.2f}", f"{peak:,.0f}"])
        print(rows[-1], file=sys.stderr)

    for name, chosen, count in choices(clients):
        pool = Pool(labels, count, natural, x=x, num_classes=LABELS)
        split = splits.parse(chosen)
        # Not `assign`, which may draw a split several times.
        add(name, count, lambda: splits.entry(split).call(split, pool, np.random.default_rng(1)))  # noqa: B023
    for name, chosen, count in choices(clients):
        if count < clients or not splits[name].spec.sizes:
            continue
        split = splits.parse(chosen)
        pool = Pool(labels, count, x=x, num_classes=LABELS)

        def run(split: Any = split, pool: Pool = pool) -> np.ndarray:
            drawn = np.random.default_rng(1)
            return assign(split, pool, drawn, lambda: draw(LOGNORMAL, count, examples, drawn))  # noqa: B023

        add(f"{name}, size lognormal", count, run)
    counts = np.random.default_rng(0).multinomial(
        examples // clients, [1 / LABELS] * LABELS, clients
    )
    add("(figures of heterogeneity)", clients, lambda: measure(counts))
    print(tabulate(rows, ["split", "clients", "s", "MB"], tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
