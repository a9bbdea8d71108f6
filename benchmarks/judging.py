"""How often a comparison with a baseline is wrong: false alarms, and small changes that it misses.

Run: ``uv run python benchmarks/judging.py``; its table is in docs/judging.md. One process does all
trainings, packed, and another one those on another instruction set. Runs are drawn from one pool of
seeds for each change, so they share trainings; a run has each seed only once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest_federated
from pytest_federated.core import seeds as streams
from pytest_federated.core.seeds import Stream
from pytest_federated.expectations.baselines import baseline_of
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.looks import looks
from pytest_federated.expectations.regression import level_for, look_twice
from pytest_federated.metrics.measure import Measure
from pytest_federated.results.record import Result
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.history import TrainingHistory
from tabulate import tabulate

# Disables instructions that oneDNN, XLA and the mathematical library choose at run time.
OTHER_INSTRUCTIONS = {
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-FMA,-FMA_Usable,-AVX512F",
}


@pytest_federated.shift("tenth_flipped", of="labels")
def tenth_flipped(y: np.ndarray, holder: Any, rng: np.random.Generator) -> np.ndarray:
    """Flips the labels of a tenth of the first client's examples."""
    flipped = y.copy()
    if holder.client == 0:
        tenth = rng.permutation(len(y))[: max(1, len(y) // 10)]
        flipped[tenth] = holder.num_classes - 1 - flipped[tenth]
    return flipped


@pytest_federated.model("layer_off")
def layer_off(shape: Any) -> Any:
    """The MLP with a hidden layer that acts as if its weights were 1 % larger."""
    import tensorflow as tf

    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.InputLayer(shape.input_shape),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Rescaling(1.01),
            layers.Dense(shape.num_classes),
        ]
    )


@dataclass(frozen=True)
class Change:
    """A change of the scenario, or of its randomness.

    Attributes:
        name: its name in the table.
        is_one: whether it should be caught.
        settings: the settings that differ, by dotted key.
        redrawn: streams that are drawn again.
        variables: environment variables, for a separate process.

    """

    name: str
    is_one: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    redrawn: frozenset[Stream] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)


def _rate(value: float) -> dict[str, Any]:
    return {"training.client_optimizer": {"kind": "sgd", "learning_rate": value}}


CHANGES = (
    Change("none: the same code"),
    Change("none: different instruction set", variables=OTHER_INSTRUCTIONS),
    Change("none: different order of batches", redrawn=frozenset({Stream.BATCHES})),
    Change("learning rate x 0.8", True, _rate(0.08)),
    Change("learning rate x 0.9", True, _rate(0.09)),
    Change("4 local epochs instead of 5", True, {"training.local_epochs": 4}),
    Change(
        "a tenth of one client's labels flipped",
        True,
        {"clients.shift": [{"kind": "tenth_flipped"}]},
    ),
    Change("one layer's weights off by 1 %", True, {"model": {"kind": "layer_off"}}),
)


def scenario(seed: int, changes: Mapping[str, Any]) -> Scenario:
    settings: dict[str, Any] = {
        "name": "judged",
        "data": {"dataset": "digits"},
        "clients": {
            "count": 10,
            "split": {"kind": "dirichlet", "alpha": 0.1, "min_examples": 10},
            "per_round": 5,
        },
        "model": {"kind": "mlp", "hidden": [128]},
        "training": {
            "rounds": 20,
            "local_epochs": 5,
            "batch_size": 20,
            "client_optimizer": {"kind": "sgd", "learning_rate": 0.1},
        },
        "seeds": [seed],
    }
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if name:
            settings[section][name] = value
        else:
            settings[section] = value
    return Scenario.model_validate(settings)


@contextlib.contextmanager
def redrawn(names: frozenset[Stream]) -> Iterator[None]:
    """Draws these streams from another seed everywhere."""
    original = streams.generator

    def other(seed: int, stream: Stream, *path: int) -> np.random.Generator:
        return original(seed + 1_000_000 if stream in names else seed, stream, *path)

    users = [m for m in list(sys.modules.values()) if getattr(m, "generator", None) is original]
    for module in users:
        setattr(module, "generator", other)  # noqa: B010  # modules declare no such name
    try:
        yield
    finally:
        for module in users:
            setattr(module, "generator", original)  # noqa: B010


def trained(change: Change, seeds: int) -> dict[int, TrainingHistory]:
    """Returns a training of each seed, from 0 up."""
    if change.variables and not all(os.environ.get(k) == v for k, v in change.variables.items()):
        command = [sys.executable, __file__, "--train", change.name, "--pool", str(seeds)]
        environment = {**os.environ, **change.variables}
        text = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
        of_seeds = json.loads(text.splitlines()[-1])
        histories = [TrainingHistory.model_validate(one) for one in of_seeds]
        return {history.seed: history for history in histories}
    with redrawn(change.redrawn):
        results = [run(scenario(seed, change.settings), Options()) for seed in range(seeds)]
    return {seed: result.histories[0] for seed, result in enumerate(results)}


def joined(pool: Mapping[int, TrainingHistory], seeds: Sequence[int]) -> Result:
    """Returns a run of these seeds."""
    return Result(
        id="judged",
        settings=scenario(0, {}).settings(),
        status="reported",
        histories=tuple(pool[seed] for seed in seeds),
    )


def in_pairs(
    before: Mapping[int, TrainingHistory],
    now: Mapping[int, TrainingHistory],
    seeds: Sequence[int],
    first: int,
    level: float,
) -> bool:
    """Returns whether a run is worse than its baseline; a second look uses all seeds."""
    whole = joined(now, seeds), baseline_of(joined(before, seeds))
    more = (lambda: whole) if first < len(seeds) else None
    run_of_first = joined(now, seeds[:first])
    compared = look_twice(run_of_first, whole[1], more, level=level)
    return not all(one.passed for one in compared)


def as_strangers(
    before: Mapping[int, TrainingHistory],
    now: Mapping[int, TrainingHistory],
    seeds: Sequence[int],
    others: Sequence[int],
    level: float,
) -> bool:
    """Returns whether a run is worse than a baseline on other seeds, with the same rules."""
    baseline = baseline_of(joined(before, others))
    compared = look_twice(joined(now, seeds), baseline, None, level=level)
    return not all(one.passed for one in compared)


def interval(hits: int, runs: int) -> str:
    """Returns the exact 95 % interval of a share (Clopper and Pearson, Biometrika 26, 1934)."""
    from scipy.special import betaincinv

    low = 0.0 if hits == 0 else betaincinv(hits, runs - hits + 1, 0.025)
    high = 1.0 if hits == runs else betaincinv(hits + 1, runs - hits, 0.975)
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def differences(
    before: Mapping[int, TrainingHistory], now: Mapping[int, TrainingHistory], name: str
) -> str:
    """Returns the mean of the pairs' differences, and their standard deviation."""
    measure = Measure(name)
    pairs = [(measure.of(before[s]) or 0.0, measure.of(now[s]) or 0.0) for s in before]
    of_pairs = np.diff(np.array(pairs), axis=1)
    return f"{of_pairs.mean():+.4f} (sd {of_pairs.std(ddof=1):.4f})"


def table(
    pools: Mapping[str, Mapping[int, TrainingHistory]], runs: int, scenarios: int
) -> tuple[str, dict[str, list[float]]]:
    """Returns the rows of all changes, for one of so many scenarios in a session."""
    base, level = pools[CHANGES[0].name], level_for(scenarios)
    rng, rows, shares = random.Random(0), [], {}
    counts = ((3, 3), (5, 5), (10, 10), (3, 10), (5, 10))
    for change in CHANGES:
        pool = pools[change.name]
        hits = dict.fromkeys((*counts, "strangers"), 0)
        for _ in range(runs):
            drawn = rng.sample(sorted(base), 20)
            for first, most in counts:
                hits[first, most] += in_pairs(base, pool, drawn[:most], first, level)
            hits["strangers"] += as_strangers(base, pool, drawn[:10], drawn[10:], level)
        shares[change.name] = [hits[key] / runs for key in hits]
        rows.append(
            [
                change.name,
                differences(base, pool, "accuracy_area"),
                *(f"{100 * share:.1f} %" for share in shares[change.name]),
            ]
        )
    columns = [
        *("change", "mean accuracy over rounds", "3 pairs", "5 pairs", "10 pairs"),
        *("3, then 10", "5, then 10", "10 against 10 other seeds"),
    ]
    return tabulate(rows, columns, tablefmt="github", disable_numparse=True), shares


def decided(pool: Mapping[int, TrainingHistory], runs: int, most: int) -> tuple[str, float]:
    """Returns a table of how `--fed-decide` does at thresholds around the true mean accuracy."""
    accuracies = np.array([Measure("accuracy").of(h) or 0.0 for h in pool.values()])
    rng, rows, largest = np.random.default_rng(0), [], 0.0
    for distance in (0.1, 0.3, 0.5, 1.0, 2.0):
        threshold = accuracies.mean() - distance * accuracies.std()
        section = expectations["accuracy"].params.model_validate({"at_least": float(threshold)})
        wrong, open_, used = 0, 0, []
        for _ in range(runs):
            drawn = rng.choice(accuracies, most, replace=False)
            verdict, seeds = _decide(section, drawn, most)
            wrong += verdict == "fail"
            open_ += verdict == "inconclusive"
            used.append(seeds)
        largest = max(largest, wrong / runs)
        rows.append(
            [
                f"{distance:g}",
                f"{100 * wrong / runs:.1f} %",
                f"{100 * (runs - wrong - open_) / runs:.1f} %",
                f"{100 * open_ / runs:.1f} %",
                f"{np.mean(used):.1f}",
            ]
        )
    columns = ["mean above threshold by (sd)", "called fail", "called pass", "open", "mean seeds"]
    return tabulate(rows, columns, tablefmt="github", disable_numparse=True), largest


def _decide(section: Any, values: np.ndarray, most: int) -> tuple[str, int]:
    from pytest_federated.expectations.bounds import Bounds, bounds_in, verdict_on

    limits = Bounds.of(**bounds_in(section))
    for look in looks(5, most):
        some = values[: look.seeds].tolist()
        verdict = verdict_on("accuracy", some, limits, "", look.confidence)
        if verdict.outcome != "inconclusive":
            return verdict.outcome, look.seeds
    return "inconclusive", most


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Returns 1 if there are more false alarms than stated, or too few changes are caught."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pool", type=int, default=200, help="seeds to train for each change")
    parser.add_argument("--runs", type=int, default=200, help="runs to draw for each change")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="write the tables to this file as well")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    if options.train:
        (change,) = [one for one in CHANGES if one.name == options.train]
        histories = trained(change, options.pool)
        print(json.dumps([history.model_dump(mode="json") for history in histories.values()]))
        return 0
    pools = {change.name: trained(change, options.pool) for change in CHANGES}
    one, shares = table(pools, options.runs, 1)
    hundred, shares_of_many = table(pools, options.runs, 100)
    thresholds, wrong = decided(pools[CHANGES[0].name], options.runs, 20)
    text = "\n\n".join(
        [
            f"One scenario, false alarms {100 * level_for(1):g} %:",
            one,
            f"One of 100 scenarios, {100 * level_for(100):g} %:",
            hundred,
            "Thresholds, --fed-decide=20 from 5 seeds:",
            thresholds,
            f"Made in {time.perf_counter() - began:.0f} s; {options.runs} runs of each change, "
            f"drawn from {options.pool} seeds; the interval of 0 in {options.runs} is "
            f"{interval(0, options.runs)}.",
        ]
    )
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    false = max(max(of[:-1]) for name, of in shares.items() if name.startswith("none"))
    caught = min(shares["learning rate x 0.8"][1], shares_of_many["learning rate x 0.8"][4])
    return int(false > 0.03 or wrong > 0.05 or caught < 0.95)


if __name__ == "__main__":
    sys.exit(main())
