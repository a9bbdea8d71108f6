"""Our splits compared with those of flwr-datasets and FedLab: clients are distributed alike.

Theirs are in helpers/comparison/clients.json, with the script that made them;
test_installed_partitioners.py runs them again where they are installed.
"""

from __future__ import annotations

from typing import Any

import pytest
from partitioners import HALF, KNOWN, OURS, compare, continuous, dirichlet, labels, ours
from scipy.stats import ks_2samp


def test_all_of_theirs_are_compared() -> None:
    assert set(OURS) == set(KNOWN)


@pytest.mark.parametrize("name", OURS)
def test_clients_come_out_alike(name: str) -> None:
    compare(name, KNOWN[name])


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("flwr dirichlet 0.5", dirichlet(0.7)),
        ("fedlab hetero-dirichlet 0.5", dirichlet(0.5)),
        ("flwr inner dirichlet 1", {"kind": "dirichlet_priors", "alpha": 0.7}),
        ("flwr continuous 1", continuous(0.8)),
        ("fedlab labels 2", labels(3, "first_deterministic")),
    ],
)
def test_the_comparison_distinguishes_other_parameters(name: str, other: Any) -> None:
    """Shows that the test above can notice a difference."""
    size = HALF if other["kind"] == "dirichlet_priors" else None
    entropies, held = ours(other, size)
    entropy_p = ks_2samp(entropies, KNOWN[name]["entropies"]).pvalue
    assert min(entropy_p, ks_2samp(held, KNOWN[name]["sizes"]).pvalue) < 0.001
