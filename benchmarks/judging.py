"""How often a comparison with a baseline is wrong: false alarms, and regressions that it misses.

Run: ``uv run python benchmarks/judging.py``; its table is in docs/judging.md. One process trains
all, packed. Every training has a seed of its own, so that no run shares anything with another.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest_federated
from pytest_federated.expectations.baselines import baseline_of
from pytest_federated.expectations.regression import FALSE_ALARMS, compare_with_baseline
from pytest_federated.results.record import Result
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.scenario.schema import Scenario
from tabulate import tabulate

# Clients of very different sizes, so that weights matter; 1,000 examples in all.
SIZES = [200, 200, 200, 200, 100, 20, 20, 20, 20, 20]


@pytest_federated.shift("flipped", of="labels")
def flipped(y: np.ndarray, holder: Any, rng: np.random.Generator) -> np.ndarray:
    """The first client's labels are counted from the other end."""
    return holder.num_classes - 1 - y if holder.client == 0 else y


@dataclass(frozen=True)
class Plant:
    """A change that is planted into the scenario, by dotted key, and what it stands for."""

    name: str
    changes: Mapping[str, Any]


PLANTS = (
    Plant(
        "learning rate x 0.5", {"training.client_optimizer": {"kind": "sgd", "learning_rate": 0.05}}
    ),
    Plant("one client's labels flipped", {"clients.shift": [{"kind": "flipped"}]}),
    Plant(
        "clients weigh the same", {"training.algorithm": {"kind": "fedavg", "weighting": "uniform"}}
    ),
)


def scenario(seeds: Sequence[int], changes: Mapping[str, Any]) -> Scenario:
    settings: dict[str, Any] = {
        "name": "judged",
        "data": {"dataset": "digits"},
        "clients": {
            "count": len(SIZES),
            "split": {"kind": "dirichlet_priors", "alpha": 10},
            "size": {"kind": "explicit", "examples": SIZES},
        },
        "model": {"kind": "mlp", "hidden": [32]},
        "training": {
            "rounds": 6,
            "batch_size": 10,
            "client_optimizer": {"kind": "sgd", "learning_rate": 0.1},
            "eval_every": 6,
        },
        "seeds": list(seeds),
    }
    for key, value in changes.items():
        section, _, name = key.partition(".")
        settings[section][name] = value
    return Scenario.model_validate(settings)


def runs(changes: Mapping[str, Any], count: int, seeds: int, first: int) -> Iterator[Result]:
    """Runs on seeds that nothing else has, from `first` on."""
    for number in range(count):
        begin = first + number * seeds
        yield run(scenario(range(begin, begin + seeds), changes), Options())


def alarms(baselines: Sequence[Result], judged: Sequence[Result]) -> list[bool]:
    """For each run whether it is worse than the baseline in its place, taken round in a circle."""
    return [
        not all(v.passed for v in compare_with_baseline(one, baseline_of(baselines[place])))
        for place, one in enumerate(judged)
    ]


def interval(hits: Sequence[bool]) -> str:
    """Exact 95 % interval of a share (Clopper and Pearson, Biometrika 26, 1934)."""
    from scipy.special import betaincinv

    n, k = len(hits), sum(hits)
    low = 0.0 if k == 0 else betaincinv(k, n - k + 1, 0.025)
    high = 1.0 if k == n else betaincinv(k + 1, n - k, 0.975)
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def row(what: str, results: Sequence[Result], hits: Sequence[bool]) -> list[str]:
    accuracies = np.concatenate([r.accuracies for r in results])
    losses = np.array([h.evaluated[-1].loss for r in results for h in r.histories])
    return [
        what,
        f"{accuracies.mean():.3f} ± {accuracies.std(ddof=1):.3f}",
        f"{losses.mean():.3f} ± {losses.std(ddof=1):.3f}",
        f"{sum(hits)} of {len(hits)}",
        f"{100 * np.mean(hits):.1f} %",
        interval(hits),
    ]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Returns 1 where false alarms exceed 5 %, or fewer than 95 % of a regression are caught."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="of the unchanged scenario")
    parser.add_argument("--planted", type=int, default=100, help="runs of each planted regression")
    parser.add_argument("--seeds", type=int, default=5, help="of each run")
    parser.add_argument("--out", type=Path, help="write the table to this file, too")
    given = parser.parse_args(arguments)
    began = time.perf_counter()

    unchanged = list(runs({}, given.runs, given.seeds, 0))
    # Each run is the baseline of the one before it.
    false = alarms([*unchanged[1:], unchanged[0]], unchanged)
    rows = [row("none", unchanged, false)]
    caught = []
    first = given.runs * given.seeds
    for plant in PLANTS:
        planted = list(runs(plant.changes, given.planted, given.seeds, first))
        first += given.planted * given.seeds
        caught.append(alarms([unchanged[n % given.runs] for n in range(given.planted)], planted))
        rows.append(row(plant.name, planted, caught[-1]))
    columns = ["planted", "accuracy", "loss", "called worse", "share", "95 % interval"]
    text = (
        tabulate(rows, columns, tablefmt="github", disable_numparse=True)
        + f"\n\nMade in {time.perf_counter() - began:.0f} s; {given.seeds} seeds a run and a "
        f"baseline; level {FALSE_ALARMS:g}."
    )
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    return int(np.mean(false) > 0.05 or min(np.mean(hits) for hits in caught) < 0.95)


if __name__ == "__main__":
    sys.exit(main())
