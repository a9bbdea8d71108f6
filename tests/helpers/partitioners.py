"""Our splits that correspond to those of flwr-datasets and FedLab (see comparison/)."""

from __future__ import annotations

import json
from typing import Any, Optional

import numpy as np
from paths import HELPERS
from pytest_federated.data.heterogeneity import label_entropies
from pytest_federated.data.sizes.size import draw, sizes
from pytest_federated.data.splits.partition import NO_ONE, Pool, assign, splits
from scipy.stats import ks_2samp

# As in comparison/other_libraries.py.
CLIENTS, LABELS, EACH, SEEDS = 10, 10, 200, 40
TARGETS = np.repeat(np.arange(LABELS), EACH)
HALF = {"kind": "explicit", "examples": [LABELS * EACH // CLIENTS // 2] * CLIENTS}

KNOWN = json.loads((HELPERS / "comparison/clients.json").read_text())["clients"]


def dirichlet(alpha: float, balance: bool = False) -> dict[str, Any]:
    return {"kind": "dirichlet", "alpha": alpha, "balance": balance, "min_examples": 10}


def labels(count: int, assignment: str) -> dict[str, Any]:
    return {"kind": "labels_per_client", "labels": count, "assignment": assignment}


def continuous(strictness: float) -> dict[str, Any]:
    return {"kind": "continuous", "strictness": strictness}


# Our split and our sizes for each of theirs.
OURS: dict[str, tuple[Any, Optional[Any]]] = {
    "flwr dirichlet 0.5": (dirichlet(0.5), None),
    "flwr dirichlet 5": (dirichlet(5.0), None),
    "flwr dirichlet 0.5 balanced": (dirichlet(0.5, True), None),
    "flwr inner dirichlet 0.3": ({"kind": "dirichlet_priors", "alpha": 0.3}, HALF),
    "flwr inner dirichlet 1": ({"kind": "dirichlet_priors", "alpha": 1.0}, HALF),
    "flwr pathological 3 random": (labels(3, "random"), None),
    "flwr pathological 3 deterministic": (labels(3, "deterministic"), None),
    "flwr pathological 3 first-deterministic": (labels(3, "first_deterministic"), None),
    "flwr shards 2": ("shards", None),
    "flwr continuous 0.3": (continuous(0.3), None),
    "flwr continuous 1": (continuous(1.0), None),
    "flwr linear": ("iid", "linear"),
    "flwr square": ("iid", "square"),
    "fedlab hetero-dirichlet 0.5": (dirichlet(0.5, True), None),
    "fedlab inner dirichlet 0.5": ({"kind": "dirichlet_priors", "alpha": 0.5}, HALF),
    "fedlab shards 2": ("shards", None),
    "fedlab labels 2": (labels(2, "first_deterministic"), None),
    "fedlab lognormal 0.5": ("iid", {"kind": "lognormal", "sigma": 0.5}),
    "fedlab sizes dirichlet 2": (
        {"kind": "iid", "min_examples": 10},
        {"kind": "dirichlet", "alpha": 2},
    ),
}


def ours(split: Any, size: Optional[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns label entropies and sizes of the clients of all seeds."""
    entropies, held = [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed + 1000)
        x = (0.5 * TARGETS + rng.standard_normal(len(TARGETS)))[:, None]
        pool = Pool(TARGETS, CLIENTS, x=x, num_classes=LABELS)

        def drawn(rng: np.random.Generator = rng) -> np.ndarray:
            return draw(sizes.parse(size), CLIENTS, len(TARGETS), rng)

        client = assign(splits.parse(split), pool, rng, drawn if size else None)
        table = np.zeros((CLIENTS, LABELS), np.int64)
        np.add.at(table, (client[client != NO_ONE], TARGETS[client != NO_ONE]), 1)
        entropies.append(label_entropies(table))
        held.append(table.sum(axis=1))
    return np.concatenate(entropies).round(3), np.concatenate(held)


def compare(name: str, theirs: dict[str, list[float]]) -> None:
    """Asserts that two-sample Kolmogorov-Smirnov tests do not distinguish ours from theirs."""
    entropies, held = ours(*OURS[name])
    assert ks_2samp(entropies, theirs["entropies"]).pvalue > 0.01
    # Theirs may lose a few examples to rounding, which must not count as a difference.
    step = 10 if name in ("flwr linear", "flwr square") else 1
    assert ks_2samp(held // step, np.array(theirs["sizes"]) // step).pvalue > 0.01
