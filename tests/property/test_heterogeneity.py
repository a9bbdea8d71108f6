"""Figures of heterogeneity: by hand, by SciPy, and higher with a stronger skew."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pytest_federated.data import heterogeneity
from pytest_federated.data.heterogeneity import (
    earth_mover,
    gini,
    hellinger,
    jensen_shannon,
    label_entropies,
    measure,
)
from pytest_federated.data.sizes.size import draw, sizes
from pytest_federated.data.splits.partition import NO_ONE, Pool, splits
from pytest_federated.report.describe import figures
from scipy.spatial import distance
from scipy.stats import entropy

# Two clients, each with its own label: as different as possible.
APART = np.array([[6, 0], [0, 6]])
ALIKE = np.array([[1, 2, 3], [2, 4, 6], [10, 20, 30]])


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    """Counts, int (clients, labels), without empty clients."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 5)))
    counts = draw(arrays(np.int64, shape, elements=st.integers(0, 50)))
    counts[:, 0] += counts.sum(axis=1) == 0
    return counts


def test_clients_that_are_alike_have_no_distance() -> None:
    found = measure(ALIKE)
    assert found.jensen_shannon == pytest.approx(0, abs=1e-6)
    assert found.hellinger == pytest.approx(0, abs=1e-6)
    assert found.earth_mover == pytest.approx(0, abs=1e-12)
    assert found.label_entropy == pytest.approx(found.pooled_label_entropy)


def test_clients_that_share_nothing_have_the_largest_distance() -> None:
    found = measure(APART, unused=3)
    assert (found.jensen_shannon, found.hellinger) == (1, 1)
    assert found.earth_mover == 1  # each |1 - 1/2| + |0 - 1/2|
    assert (found.label_entropy, found.pooled_label_entropy) == (0, pytest.approx(math.log(2)))
    assert (found.gini, found.smallest, found.largest, found.unused) == (0, 6, 6, 3)


def test_label_entropy_is_never_shown_above_that_of_all_examples() -> None:
    """Nine small clients have both labels, and a large one a single label."""
    found = measure(np.array([[1, 1]] * 9 + [[100, 0]]))
    (shown,) = (text for name, text in figures(found) if name == "label entropy")
    own, whole = re.findall(r"[0-9.]+", shown)
    assert shown == f"{own} of {whole} nats"
    assert float(own) == pytest.approx(0.9 * math.log(2), abs=1e-3)
    assert float(own) < float(whole) < math.log(2)


def test_one_client_has_no_distance() -> None:
    found = measure(np.array([[3, 4]]))
    assert (found.jensen_shannon, found.hellinger, found.earth_mover, found.gini) == (0, 0, 0, 0)


def test_gini_is_that_computed_by_hand() -> None:
    assert gini(np.array([1, 3])) == pytest.approx(2 * 2 / (2 * 2 * 4))
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    assert gini(np.full(9, 7)) == 0


@given(sizes=arrays(np.int64, st.integers(1, 20), elements=st.integers(1, 1000)))
def test_gini_follows_its_definition(sizes: np.ndarray) -> None:
    pairs = np.abs(sizes[:, None] - sizes[None]).sum()
    assert gini(sizes) == pytest.approx(pairs / (2 * len(sizes) * sizes.sum()), abs=1e-12)


@given(counts=tables())
def test_distances_are_those_of_scipy(counts: np.ndarray) -> None:
    shares = counts / counts.sum(axis=1, keepdims=True)
    pairs = list(itertools.combinations(shares, 2))
    expected = [distance.jensenshannon(p, q, base=2) for p, q in pairs]
    mean = np.mean(np.nan_to_num(expected)) if pairs else 0
    assert jensen_shannon(counts) == pytest.approx(mean, abs=1e-6)
    roots = [np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / math.sqrt(2) for p, q in pairs]
    assert hellinger(counts) == pytest.approx(np.mean(roots) if pairs else 0, abs=1e-6)
    np.testing.assert_allclose(label_entropies(counts), entropy(shares, axis=1), atol=1e-12)


@given(counts=tables())
def test_figures_stay_within_their_bounds(counts: np.ndarray) -> None:
    found = measure(counts)
    for name in ("gini", "jensen_shannon", "hellinger"):
        assert 0 <= getattr(found, name) <= 1
    assert 0 <= found.earth_mover <= 2
    assert found.label_entropy <= found.pooled_label_entropy + 1e-5
    assert found.smallest <= found.quartiles[1] <= found.largest


@given(counts=tables(), seed=st.integers(0, 99))
def test_neither_order_nor_scale_matters(counts: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mixed = 3 * counts[rng.permutation(len(counts))][:, rng.permutation(counts.shape[1])]
    for figure in (jensen_shannon, hellinger, earth_mover, lambda c: gini(c.sum(axis=1))):
        assert figure(mixed) == pytest.approx(figure(counts), abs=1e-6)


def test_many_clients_are_compared_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over some pairs is close to that over all, and the same each time."""
    rng = np.random.default_rng(0)
    counts = 1 + rng.multinomial(100, rng.dirichlet(np.full(10, 0.3), size=600))
    whole = jensen_shannon(counts), hellinger(counts)
    monkeypatch.setattr(heterogeneity, "_TERMS", 200_000)  # enough for 200 clients
    part = jensen_shannon(counts), hellinger(counts)
    assert part == pytest.approx(whole, rel=0.03)
    assert part != whole
    assert part == (jensen_shannon(counts), hellinger(counts))


# Monotonicity in the parameter of each split

LABELS, CLIENTS = 10, 10


def table(choice: dict[str, Any], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(LABELS), 100)
    natural = np.repeat(np.arange(5), 200)[rng.permutation(1000)]
    pool = Pool(labels, CLIENTS, natural)
    chosen = splits.parse(choice)
    client = splits.entry(chosen).call(chosen, pool, rng)
    counts = np.zeros((CLIENTS, LABELS), np.int64)
    np.add.at(counts, (client[client != NO_ONE], labels[client != NO_ONE]), 1)
    return counts[counts.sum(axis=1) > 0]


@pytest.mark.parametrize(
    ("choice", "key", "milder_to_stronger"),
    [
        ({"kind": "dirichlet"}, "alpha", [100, 10, 1, 0.1, 0.01]),
        ({"kind": "dirichlet", "balance": True}, "alpha", [100, 10, 1, 0.1, 0.01]),
        ({"kind": "dirichlet_priors"}, "alpha", [100, 10, 1, 0.1, 0.01]),
        ({"kind": "dirichlet_sequential"}, "alpha", [100, 10, 1, 0.1, 0.01]),
        ({"kind": "shards"}, "shards_per_client", [20, 10, 5, 2, 1]),
        ({"kind": "labels_per_client"}, "labels", [10, 8, 5, 3, 2, 1]),
        ({"kind": "labels_per_client", "assignment": "random"}, "labels", [10, 8, 5, 3, 2, 1]),
        ({"kind": "extended_dirichlet", "alpha": 1}, "labels", [10, 8, 5, 3, 2, 1]),
        ({"kind": "extended_dirichlet", "labels": 5}, "alpha", [100, 10, 1, 0.1]),
        ({"kind": "similarity"}, "similar", [1, 0.8, 0.5, 0.2, 0]),
        ({"kind": "exclusive"}, "share", [0.05, 0.2, 0.5, 0.8, 1]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_skew_grows_with_the_parameter(
    choice: dict[str, Any], key: str, milder_to_stronger: list[float]
) -> None:
    """On average over 20 seeds, in every figure of labels."""
    tables = [
        [table({**choice, key: value}, seed) for seed in range(20)] for value in milder_to_stronger
    ]
    for figure in (jensen_shannon, hellinger, earth_mover, lambda c: -label_entropies(c).mean()):
        means = [np.mean([figure(counts) for counts in of_value]) for of_value in tables]
        assert means == sorted(means)
        assert means[-1] > means[0] + 0.1


def test_an_inner_split_passes_its_skew_on() -> None:
    def mean(alpha: float) -> float:
        choice = {"kind": "inner", "split": {"kind": "dirichlet", "alpha": alpha}}
        return float(np.mean([jensen_shannon(table(choice, seed)) for seed in range(20)]))

    assert mean(100) < mean(1) < mean(0.1)


@pytest.mark.parametrize(
    ("kind", "key", "evener_to_less_even"),
    [
        ("dirichlet", "alpha", [100, 10, 1, 0.1]),
        ("lognormal", "sigma", [0, 0.3, 1, 3]),
        ("power_law", "exponent", [50, 5, 3, 2]),
        ("exponential", "rate", [0.01, 0.1, 1, 3]),
    ],
)
def test_sizes_grow_apart_with_the_parameter(
    kind: str, key: str, evener_to_less_even: list[float]
) -> None:
    means = []
    for value in evener_to_less_even:
        chosen = sizes.parse({"kind": kind, key: value})
        drawn = [draw(chosen, 20, 10_000, np.random.default_rng(seed)) for seed in range(30)]
        means.append(np.mean([gini(d) for d in drawn]))
    assert means == sorted(means)
    assert means[0] < 0.1 and means[-1] > 0.5
