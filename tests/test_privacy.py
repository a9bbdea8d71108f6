"""Epsilon of a training, for the sampling that took place; and what cannot be made private."""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np
import pytest
from made_results import made_result
from pydantic import ValidationError
from support import federation

from harness.report.tables import aggregation_rows
from harness.scenario import Scenario
from harness.systems import Systems
from harness.systems.sampling import samplers
from harness.training.aggregators import aggregators
from harness.training.cohorts import most_often
from harness.training.privacy import guarantee

FIXED = {"kind": "fixed", "cohorts": [[0]]}


def epsilon(
    sampling: Any = "poisson",
    noise: float = 1.0,
    delta: float = 1e-5,
    population: int = 1000,
    cohort: int = 10,
    rounds: int = 100,
) -> float:
    private = guarantee(
        aggregators.parse({"kind": "dp", "noise_multiplier": noise, "delta": delta}),
        samplers.parse(sampling),
        population,
        cohort,
        rounds,
    )
    assert private and private.delta == delta
    return private.epsilon


def test_distributed_noise_counts_as_much_as_came() -> None:
    """As Gaussian noise; of too few clients it is less, and of more than expected as planned."""

    def of(kind: str, fewest: Optional[int], **keys: Any) -> Any:
        chosen = aggregators.parse({"kind": kind, "noise_multiplier": 2.0, **keys})
        return guarantee(chosen, samplers.parse("poisson"), 1000, 16, 100, fewest)

    for fewest in (None, 16, 20):
        assert of("distributed_dp", fewest) == of("dp", None) == of("dp", 4)
    # A quarter of the clients bring half of the deviation.
    half = epsilon(noise=1.0, population=1000, cohort=16)
    assert of("distributed_dp", 4).epsilon == pytest.approx(half, rel=1e-9)
    # The bound of zeroing is estimated without noise.
    assert of("distributed_dp", None, zeroing=True) is None


def test_a_tree_costs_by_how_often_a_client_takes_part() -> None:
    """Of 2^k - 1 rounds a client is in k nodes; twice in one tree counts as half of the noise."""

    def of(rounds: int, most: Optional[int], noise: float = 8.0) -> float:
        keys = {"kind": "dp_ftrl", "noise_multiplier": noise, "clip": 1.0}
        chosen = aggregators.parse(keys)
        private = guarantee(chosen, samplers.parse("uniform"), 1000, 10, rounds, 10, most)
        assert private
        return private.epsilon

    assert of(7, 1) == pytest.approx(by_definition(8.0, 1e-5, 3), rel=1e-2)
    assert of(1023, 1) == pytest.approx(by_definition(8.0, 1e-5, 10), rel=1e-2)
    assert of(7, 2) == pytest.approx(by_definition(4.0, 1e-5, 3), rel=1e-2)
    assert of(7, None) == of(7, 7)
    assert math.isinf(of(7, 1, noise=0.0))


def test_how_often_a_client_is_drawn() -> None:
    data = federation([3] * 6, 0)
    turns = {"kind": "fixed", "cohorts": [[0, 1], [0, 4]]}
    assert most_often(data, 2, 0, 5, Systems(sampling=samplers.parse(turns))) == 5
    everybody = Systems(sampling=samplers.parse("uniform"))
    assert most_often(data, 6, 0, 4, everybody) == 4
    assert 1 <= most_often(data, 1, 0, 4, everybody) <= 4


def by_definition(noise: float, delta: float, rounds: int) -> float:
    """Of the plain Gaussian mechanism, composed: Mironov 2017, corollary 3 and proposition 3,
    with the conversion of Canonne, Kamath and Steinke 2020, proposition 12 (arXiv:2004.00010).
    """
    orders = np.linspace(1.01, 300, 30000)
    rdp = rounds * orders / (2 * noise**2)
    converted = rdp + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return float(converted.min())


def test_without_amplification_it_is_the_gaussian_mechanism() -> None:
    for sampling in (FIXED, {"kind": "cyclic", "blocks": 2}):
        found = epsilon(sampling, noise=8.0, rounds=20)
        assert found == pytest.approx(by_definition(8.0, 1e-5, 20), rel=1e-2)


def test_everybody_in_each_round_is_no_sampling() -> None:
    """Poisson with probability 1; and of a fixed number, where the noise counts half."""
    plain = epsilon(FIXED, noise=8.0)
    assert epsilon("poisson", noise=8.0, cohort=1000) == pytest.approx(plain)
    assert epsilon("uniform", noise=16.0, cohort=1000) == pytest.approx(plain)


def test_sampling_amplifies() -> None:
    assert epsilon("poisson") < epsilon("poisson", cohort=100) < epsilon(FIXED)
    assert epsilon("uniform") < epsilon("uniform", cohort=100) < epsilon("uniform", cohort=1000)


@pytest.mark.parametrize("sampling", ["poisson", "uniform", FIXED])
def test_more_noise_fewer_rounds_and_a_larger_delta_give_less(sampling: Any) -> None:
    found = epsilon(sampling)
    assert epsilon(sampling, noise=2.0) < found < epsilon(sampling, rounds=200)
    assert epsilon(sampling, delta=1e-3) < found


def test_without_noise_nothing_is_private() -> None:
    assert math.isinf(epsilon(noise=0.0))
    mean = aggregators.parse("mean")
    assert guarantee(mean, samplers.parse("uniform"), 10, 5, 3) is None


@pytest.mark.parametrize(
    ("kind", "told", "how"),
    [
        ("dp", "epsilon 9.5 at delta 0.01 (Rényi", " x 1) sampling)"),
        ("distributed_dp", "about epsilon 9.5 at delta 0.01 (Rényi", "the clients' Skellam noise)"),
    ],
)
def test_the_report_says_where_epsilon_is_an_approximation(kind: str, told: str, how: str) -> None:
    made = made_result(accuracies=(0.5,))
    chosen = scenario({**DP, "kind": kind}, {"kind": "fixed", "cohorts": [[0]]}).settings()
    (history,) = made.histories
    private = history.model_copy(update={"epsilon": 9.5, "delta": 0.01})
    rows = aggregation_rows(made.model_copy(update={"settings": chosen, "histories": (private,)}))
    (key, value) = rows[-1]
    assert key == "privacy of a client"
    assert value.startswith(told)
    assert value.endswith(how)


def scenario(aggregator: Any, sampling: Any, algorithm: Optional[Any] = None) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "a",
            "data": {"dataset": "digits"},
            "clients": {"count": 4, "sampling": sampling},
            "model": "mlp",
            "training": {
                "rounds": 1,
                "aggregator": aggregator,
                **({"algorithm": algorithm} if algorithm else {}),
            },
        }
    )


DP = {"kind": "dp", "noise_multiplier": 1.0}


@pytest.mark.parametrize("sampling", ["with_replacement", "by_size"])
def test_clients_that_come_several_times_cannot_be_hidden(sampling: Any) -> None:
    with pytest.raises(ValidationError, match=f"with {sampling} sampling a client may come"):
        scenario(DP, sampling)
    scenario(DP, {"kind": "by_size", "replacement": False})
    scenario("mean", sampling)


@pytest.mark.parametrize("algorithm", ["scaffold", "mime_lite"])
def test_no_epsilon_is_claimed_where_clients_send_more_than_gets_noise(algorithm: str) -> None:
    with pytest.raises(ValidationError, match="got distributed_dp; with"):
        scenario({**DP, "kind": "distributed_dp"}, "poisson", {"kind": algorithm})
    with pytest.raises(ValidationError, match=f"got dp; with {algorithm} clients send the .*, too"):
        scenario(DP, "poisson", {"kind": algorithm})
    scenario("clipping", "poisson", {"kind": algorithm})


@pytest.mark.parametrize("aggregator", [DP, "median", {"kind": "trimmed_mean", "trim": 0.2}])
def test_aggregators_without_weights_refuse_to_be_given_some(aggregator: Any) -> None:
    scenario(aggregator, "uniform")
    scenario(aggregator, "uniform", {"kind": "fedavg", "weighting": "uniform"})
    for weighting in ("examples", "loss"):
        with pytest.raises(ValidationError, match="it counts every client the same"):
            scenario(aggregator, "uniform", {"kind": "fedavg", "weighting": weighting})
    scenario("clipping", "uniform", {"kind": "fedavg", "weighting": "loss"})
