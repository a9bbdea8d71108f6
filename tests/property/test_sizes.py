"""Quantity skew: sizes that use every example, in the requested proportions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_federated.clients.schema import Clients
from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets.dataset import Cache
from pytest_federated.data.federation import FederatedData, federate
from pytest_federated.data.schema import Data
from pytest_federated.data.sizes.size import draw, sizes

RANDOM: dict[str, dict[str, Any]] = {
    "dirichlet": {"alpha": 1},
    "lognormal": {"sigma": 1},
    "power_law": {"exponent": 3},
}
FIXED: dict[str, dict[str, Any]] = {"linear": {}, "square": {}, "exponential": {"rate": 0.5}}


def drawn(name: str, clients: int = 10, examples: int = 10_000, seed: int = 0, **keys: Any) -> Any:
    chosen = sizes.parse({"kind": name, **({**RANDOM, **FIXED}.get(name, {}) | keys)})
    return draw(chosen, clients, examples, np.random.default_rng(seed))


def test_every_size_is_tried() -> None:
    assert set(sizes.names()) == {*RANDOM, *FIXED, "explicit"}


@pytest.mark.parametrize("name", [*RANDOM, *FIXED])
@given(
    clients=st.integers(1, 50),
    examples=st.integers(1, 5000),
    seed=st.integers(0, 2**32),
)
def test_every_example_is_used(name: str, clients: int, examples: int, seed: int) -> None:
    one, two = (drawn(name, clients, examples, seed) for _ in range(2))
    assert one.dtype == np.int64 and one.shape == (clients,)
    assert one.min() >= 0 and one.sum() == examples
    assert one.tolist() == two.tolist()


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_gives_other_sizes(name: str) -> None:
    assert len({tuple(drawn(name, seed=seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("linear", np.arange(1, 11)),
        ("square", np.arange(1, 11) ** 2),
        ("exponential", np.exp(0.5 * np.arange(10))),
    ],
)
def test_fixed_sizes_are_in_proportion(name: str, shares: np.ndarray) -> None:
    assert np.abs(drawn(name) - 10_000 * shares / shares.sum()).max() <= 1


def test_lognormal_sizes_have_the_requested_deviation() -> None:
    found = np.log(drawn("lognormal", 2000, 20_000_000, sigma=0.7))
    assert found.std() == pytest.approx(0.7, abs=5 * 0.7 / np.sqrt(2 * 2000))


@pytest.mark.parametrize("exponent", [2.5, 4])
def test_power_law_sizes_have_the_requested_exponent(exponent: float) -> None:
    """By its maximum likelihood estimate from sizes over the smallest (Clauset et al. 2009)."""
    found = drawn("power_law", 2000, 2_000_000_000, exponent=exponent).astype(float)
    estimate = 1 + 1 / np.log(found / found.min()).mean()
    assert estimate == pytest.approx(exponent, abs=5 * (exponent - 1) / np.sqrt(2000))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("dirichlet", {"alpha": 1e-300}),
        ("dirichlet", {"alpha": 1e300}),
        ("lognormal", {"sigma": 20}),
        ("power_law", {"exponent": 1.0000001}),
        ("exponential", {"rate": 10}),
    ],
)
def test_extreme_parameters_give_valid_sizes(name: str, keys: dict[str, Any]) -> None:
    found = drawn(name, 1000, 100, **keys)
    assert found.sum() == 100 and found.min() >= 0


# In a scenario

NOWHERE = Cache(Path("no-such-cache"))


def made(size: Any, split: Any = "iid", count: int = 10, seed: int = 0) -> FederatedData:
    clients = Clients.model_validate({"count": count, "split": split, "size": size})
    return federate(Data.model_validate({"dataset": "digits"}), clients, seed, NOWHERE)


@pytest.mark.parametrize(
    "split",
    [
        "iid",
        {"kind": "dirichlet_priors", "alpha": 0.3},
        {"kind": "dirichlet_sequential", "alpha": 0.3},
        {"kind": "dirichlet", "alpha": 0.3},
        "shards",
        {"kind": "distribution", "matrix": [list(range(10))] * 10},
        {"kind": "continuous", "strictness": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", ["linear", {"kind": "lognormal", "sigma": 0.5}], ids=str)
def test_sizes_do_not_depend_on_the_split(split: Any, size: Any) -> None:
    assert made(size, split).sizes.tolist() == made(size, "iid").sizes.tolist()
    assert made(size, split).sizes.sum() == 1438


def test_explicit_sizes_leave_the_rest_to_nobody() -> None:
    data = made({"kind": "explicit", "examples": [5, 10, 20]}, count=3)
    assert data.sizes.tolist() == [5, 10, 20]
    assert data.unused == 1438 - 35
    assert len(np.unique(np.concatenate(data.clients))) == 35


def test_more_examples_than_there_are_cannot_be_requested() -> None:
    with pytest.raises(DataError) as error:
        made({"kind": "explicit", "examples": [1000, 1000]}, count=2)
    assert str(error.value) == "clients.size asks for 2000 training examples; there are 1438"


def test_sizes_are_drawn_again_until_each_client_has_enough() -> None:
    split = {"kind": "iid", "min_examples": 20}
    size = {"kind": "dirichlet", "alpha": 1}
    assert min(made(size, "iid", seed=s).sizes.min() for s in range(10)) < 20
    assert min(made(size, split, seed=s).sizes.min() for s in range(10)) >= 20


def test_sizes_that_leave_a_client_empty_are_refused() -> None:
    with pytest.raises(DataError) as error:
        made("exponential", count=12)
    assert "leaves client 0 (0)" in str(error.value)
    assert "sizes that differ less (clients.size)" in str(error.value)


@pytest.fixture
def own_size(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    monkeypatch.setattr(sizes, "_entries", sizes.entries())

    def register(given: Any) -> None:
        @sizes("own")
        def own(clients: int, examples: int, rng: np.random.Generator) -> np.ndarray:
            return given

    return register


def test_a_size_of_the_user_sets_the_proportions(own_size: Callable[[Any], None]) -> None:
    own_size([1, 3])
    assert drawn("own", 2, 100).tolist() == [25, 75]


@pytest.mark.parametrize("given", [[1], [1, -1], [0, 0], [1, float("nan")]], ids=str)
def test_invalid_sizes_of_the_user_are_refused(
    own_size: Callable[[Any], None], given: list[float]
) -> None:
    own_size(given)
    with pytest.raises(DataError, match="the size 'own' gave"):
        drawn("own", 2, 100)
