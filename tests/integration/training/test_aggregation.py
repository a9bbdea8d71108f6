"""Three rounds of training with each aggregator differ from FedAvg exactly as its definition says.

The problem is that of test_algorithms.py; test_aggregators.py tests each aggregator by itself, with
its noise and its keys.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np
import pytest
from numpy_reference import (
    BASE,
    COHORT,
    MODEL,
    RATE,
    ROUNDS,
    SEED,
    Weights,
    assert_close,
    assert_far,
    cohort_of,
    measure,
    reference,
    sgd,
)
from pytest_federated.data.federation import FederatedData
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.schema import Training
from scipy.optimize import minimize

pytestmark = pytest.mark.usefixtures("running")

# Maps changes, float64 (clients, parameters), and weights to the change of the server's model.
Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Where the tensors of the model end in its flat parameters.
ENDS = np.cumsum([16 * 5, 5, 5 * 3])


def mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.average(rows, axis=0, weights=weights)


def clip(rows: np.ndarray, norm: float) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.minimum(1, norm / np.maximum(norms, 1e-30))


def zero(rows: np.ndarray, bound: float) -> np.ndarray:
    return np.where(np.abs(rows).max(axis=1, keepdims=True) > bound, 0, rows)


def trimmed(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.sort(rows, axis=0)[1:-1].mean(axis=0)


def krum(rows: np.ndarray, count: int) -> np.ndarray:
    """Returns the mean of the `count` rows that are closest to their two nearest others."""
    distances = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    scores = np.sort(distances, axis=1)[:, 1:3].sum(axis=1)
    return rows[np.argsort(scores)[:count]].mean(axis=0)


def geometric_median(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the point with the least sum of distances, found by a general optimizer."""

    def distances(point: np.ndarray) -> tuple[float, np.ndarray]:
        away = point - rows
        norms = np.linalg.norm(away, axis=1, keepdims=True)
        return norms.sum(), (away / norms).sum(axis=0)

    return minimize(distances, rows.mean(axis=0), jac=True, method="BFGS", tol=1e-9).x


def quantized(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Quantizes tensors of more than ten numbers to four bits each."""
    sent = rows * weights[:, None]
    for part in np.split(np.arange(rows.shape[1]), ENDS):
        if len(part) > 10:
            low, high = sent[:, part].min(axis=1), sent[:, part].max(axis=1)
            step = ((high - low) / 15)[:, None]
            levels = np.round((sent[:, part] - low[:, None]) / step)
            sent[:, part] = low[:, None] + levels * step
    return sent.sum(axis=0) / weights.sum()


def adaptive(zeroing: bool, norm: float, quantile: float, weighted: bool) -> Combine:
    """Returns clipping to an adaptive norm, after zeroing by an adaptive bound."""
    bound = 10.0

    def combine(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        nonlocal bound, norm
        largest = np.abs(rows).max(axis=1)
        kept = zero(rows, 2 * bound + 1) if zeroing else rows
        bound *= math.exp(-math.log(10) * (np.mean(largest <= bound) - 0.98))
        clipped = clip(kept, norm)
        below = np.mean(np.linalg.norm(kept, axis=1) <= norm)
        norm *= math.exp(-0.2 * (below - quantile))
        return mean(clipped, weights if weighted else np.ones(len(rows)))

    return combine


CASES: dict[str, tuple[dict[str, Any], Callable[[], Combine]]] = {
    "mean": ({}, lambda: mean),
    "zeroing": ({"norm": 0.1}, lambda: lambda rows, weights: mean(zero(rows, 0.1), weights)),
    "clipping": ({"norm": 0.3}, lambda: lambda rows, weights: mean(clip(rows, 0.3), weights)),
    "robust": ({}, lambda: adaptive(zeroing=True, norm=1.0, quantile=0.8, weighted=True)),
    "compression": ({"bits": 4, "threshold": 10}, lambda: quantized),
    "secure": ({"zeroing": False, "clipping": False}, lambda: mean),
    "dp": (
        {"noise_multiplier": 0.0, "clip": 0.3},
        lambda: lambda rows, weights: clip(rows, 0.3).sum(axis=0) / COHORT,
    ),
    "dp_ftrl": (
        {"noise_multiplier": 0.0, "clip": 0.3},
        lambda: lambda rows, weights: clip(rows, 0.3).sum(axis=0) / COHORT,
    ),
    "distributed_dp": (
        {"noise_multiplier": 0.0, "initial_clip": 0.3},
        lambda: adaptive(zeroing=False, norm=0.3, quantile=0.5, weighted=False),
    ),
    "median": ({}, lambda: lambda rows, weights: np.median(rows, axis=0)),
    "trimmed_mean": ({"trim": 0.25}, lambda: trimmed),
    "krum": ({"attackers": 0}, lambda: lambda rows, weights: krum(rows, 1)),
    "multi_krum": (
        {"attackers": 0, "selected": 2},
        lambda: lambda rows, weights: krum(rows, 2),
    ),
    "geometric_median": ({"iterations": 100}, lambda: geometric_median),
}


def by_definition(data: FederatedData, train: Any, combine: Combine) -> list[Weights]:
    settings = Training.model_validate(BASE)
    first = trainer_for(MODEL, settings, data).initial_weights(SEED).trainable
    weights = [w.numpy().astype(np.float64) for w in first]
    history = []
    for number in range(1, ROUNDS + 1):
        done = [train(weights, int(one), number) for one in cohort_of(data, number)]
        before = np.concatenate([w.ravel() for w in weights])
        rows = [np.concatenate([w.ravel() for w in trained]) - before for trained, _ in done]
        after = before + combine(np.array(rows), np.array([weight for _, weight in done]))
        weights = [part.reshape(w.shape) for part, w in zip(np.split(after, ENDS), weights)]
        history.append(weights)
    return history


def test_each_aggregator_has_a_case() -> None:
    assert set(aggregators.names()) - {"tff"} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_three_rounds_agree_with_numpy(data: FederatedData, name: str) -> None:
    keys, combine = CASES[name]
    # Makes some changes longer than 1, where `robust` begins to clip.
    rate = 1.0 if name == "robust" else RATE
    client, train = {"kind": "sgd", "learning_rate": rate}, sgd(data, rate=lambda number: rate)
    chosen = {"kind": name, **keys}
    ours = measure(data, aggregator=chosen, client_optimizer=client, execution="packed")
    # These use fixed-point numbers, with coarser steps.
    atol = {"secure": 1e-5, "distributed_dp": 1e-5, "geometric_median": 2e-5}.get(name, 2e-6)
    assert_close(ours, by_definition(data, train, combine()), atol=atol)
    fedavg = reference(data, train)
    if name in ("mean", "secure"):
        assert_close(ours, fedavg, atol=atol)
    else:
        assert_far(ours, fedavg)
