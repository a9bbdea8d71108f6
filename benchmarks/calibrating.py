"""Measures how often a calibrated threshold is missed if nothing has changed, by kind of figures.

``uv run python benchmarks/calibrating.py`` draws figures, calibrates `accuracy: {at_least: ...}`
on some of them with a promise of 1 %, and judges the mean of five others. For comparison, it does
the same with only the prediction interval of normal figures. It trains nothing. Its table is in
docs/judging.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pytest_federated.expectations.calibrating import propose, unseen_collapse
from pytest_federated.metrics.statistics import t_quantile
from tabulate import tabulate

PROMISED, SEEDS = 0.01, 5
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def with_collapses(one_in: int, to: float = 0.2, spread: float = 0.03) -> Draw:
    """Returns a function that draws figures around 0.93, one in `one_in` of them around `to`."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        collapses = rng.random(shape) < 1 / one_in
        return np.where(collapses, rng.normal(to, spread, shape), rng.normal(0.93, 0.01, shape))

    return draw


ALIKE: Mapping[str, Draw] = {
    "normal, 0.9 and 0.02": lambda rng, shape: rng.normal(0.9, 0.02, shape),
    "uniform, 0.8 to 1": lambda rng, shape: rng.uniform(0.8, 1, shape),
    "beta (50, 3)": lambda rng, shape: rng.beta(50, 3, shape),
    "beta (20, 1)": lambda rng, shape: rng.beta(20, 1, shape),
    "beta (8, 0.5), most near 1": lambda rng, shape: rng.beta(8, 0.5, shape),
    "1 less log-normal, 0.05 and 0.5": lambda rng, shape: 1 - 0.05 * rng.lognormal(0, 0.5, shape),
    "1 less log-normal, 0.02 and 1": lambda rng, shape: 1 - 0.02 * rng.lognormal(0, 1, shape),
}
COLLAPSING: Mapping[str, Draw] = {
    **{f"one in {n} falls to 0.2": with_collapses(n) for n in (5, 10, 20)},
    **{f"one in {n} falls to 0.85": with_collapses(n, 0.85, 0.02) for n in (5, 10, 20)},
}


def missed(drawn: np.ndarray, bounds: np.ndarray) -> float:
    """Returns the share of rows whose last figures have a mean below the bound."""
    return float((drawn[:, -SEEDS:].mean(1) < bounds).mean())


def of_normal(figures: np.ndarray) -> np.ndarray:
    """Returns the end of the normal prediction interval for each row."""
    count = figures.shape[1]
    reach = t_quantile(1 - PROMISED, count - 1) * np.sqrt(1 / SEEDS + 1 / count)
    return figures.mean(1) - reach * figures.std(1, ddof=1)


def calibrated(figures: np.ndarray) -> np.ndarray:
    """Returns the bound that calibration proposes for each row."""
    rows = [propose("accuracy", ["at_least"], row.tolist(), SEEDS, PROMISED) for row in figures]
    return np.array([row.bounds["at_least"] for row in rows])


def main() -> int:
    """Returns 1 if bounds are missed more often than the calibration promises."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000, help="of each kind")
    runs = parser.parse_args().runs
    rng, rows, is_kept = np.random.default_rng(0), [], True
    for name, draw in {**ALIKE, **COLLAPSING}.items():
        row: list[Any] = [name]
        for count in (10, 50):
            drawn = draw(rng, (runs, count + SEEDS)).clip(0, 1)
            figures = drawn[:, :count]
            before, bounds = of_normal(figures), calibrated(figures)
            now = missed(drawn, bounds)
            row += [f"{100 * missed(drawn, before):.1f} %", f"{100 * now:.1f} %"]
            row.append(f"{np.median(before):.3f}, {np.median(bounds):.3f}")
            most = unseen_collapse(count, SEEDS) if "one in" in name else PROMISED
            is_kept &= now <= most + 0.01 or "log-normal" in name
        rows.append(row)
    heads = ["figures"]
    for count in (10, 50):
        heads += [f"{count} seeds, normal", "calibrated", "median bounds"]
    print(tabulate(rows, heads, tablefmt="github", disable_numparse=True))
    return int(not is_kept)


if __name__ == "__main__":
    sys.exit(main())
