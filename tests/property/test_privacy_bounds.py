"""No epsilon is below the privacy loss of the mechanism itself, as far as that can be computed.

This is done in one dimension, with a clipping norm of 1: one client sends 1, and in the neighboring
federation is left out or sends -1; all others send the same, -1, 0 or 1. Outputs are counted in
bins, which can only hide something. dp-accounting composes the privacy loss of several rounds,
with losses rounded down.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, Callable

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.training.aggregators.aggregator import aggregators
from pytest_federated.training.privacy import guarantee
from scipy import optimize, special, stats

DELTA = 1e-5
LISTED = {"kind": "fixed", "cohorts": [[0]]}
# Maps numbers to the probability that noise of deviation 1 is not above them.
Noise = Callable[[np.ndarray], np.ndarray]
# The possible sums over the clients of a round, and their probabilities.
Sums = tuple[np.ndarray, np.ndarray]


def claimed(
    sampling: Any, population: int, cohort: int, noise: float, rounds: int, **chosen: Any
) -> float:
    aggregator = aggregators.parse(
        {"kind": "dp", "noise_multiplier": noise, "delta": DELTA, **chosen}
    )
    participation = Participation(samplers.parse(sampling))
    private = guarantee(aggregator, participation, population, cohort, rounds)
    assert private
    return private.epsilon


def gaussian(x: np.ndarray) -> np.ndarray:
    return special.ndtr(x)


def skellam(x: np.ndarray) -> np.ndarray:
    """Returns the distribution of Skellam noise of deviation 30 on integers; 30 is the norm."""
    integers, places = np.unique(np.floor(30 * x + 1e-9), return_inverse=True)
    return stats.skellam.cdf(integers, 450, 450)[places].reshape(x.shape)


def summing(of_others: float, count: int, more: float, share: float) -> Sums:
    """Returns the sums of `more` and `count` clients that each take part with `share`."""
    counts = np.arange(count + 1)
    return of_others * counts + more, stats.binom.pmf(counts, count, share)


def mixed(*cases: tuple[float, Sums]) -> Sums:
    sums, weights = zip(*(case for _, case in cases))
    shares = [share for share, _ in cases]
    return np.concatenate(sums), np.concatenate([s * w for s, w in zip(shares, weights)])


def seen(case: Sums, noise: float, law: Noise) -> np.ndarray:
    """Returns the probabilities of bins of the noisy output."""
    edges = np.arange(-40, 40, 1 / 60) if law is gaussian else np.arange(-1200, 1200) / 30 + 1 / 60
    sums, weights = case
    below = law((edges[:, np.newaxis] - sums) / noise) @ weights
    return np.diff(np.concatenate([[0.0], below, [1.0]]))


def losses_of_a_round(one: np.ndarray, other: np.ndarray) -> list[Any]:
    """Returns the privacy losses, both ways, of a round with these probabilities of outcomes."""

    def losses(p: np.ndarray) -> dict[int, float]:
        return {i: math.log(value) for i, value in enumerate(p) if value > 1e-300}

    return [
        privacy_loss_distribution.from_two_probability_mass_functions(
            losses(q), losses(p), pessimistic_estimate=False, value_discretization_interval=1e-3
        )
        for p, q in ((one, other), (other, one))
    ]


def given_away(one: np.ndarray, other: np.ndarray, rounds: int) -> float:
    """Returns a lower bound of epsilon for rounds with these probabilities of outcomes."""
    return epsilon_of(losses_of_a_round(one, other), rounds)


def epsilon_of(losses: list[Any], rounds: int) -> float:
    return max(loss.self_compose(rounds).get_epsilon_for_delta(DELTA) for loss in losses)


def of_poisson(population: int, cohort: int, lost: float, others: float) -> tuple[Sums, Sums]:
    """Returns the sums with one client who sends 1, and without; each may be lost."""
    share = cohort / population * (1 - lost)
    without = summing(others, population - 1, 0.0, share)
    among = summing(others, population - 1, 1.0, share)
    return mixed((1 - share, without), (share, among)), without


def of_uniform(population: int, cohort: int, lost: float, others: float) -> tuple[Sums, Sums]:
    """Returns the sums with one client who sends 1, and with one who sends -1."""
    drawn = cohort / population
    without = summing(others, cohort, 0.0, 1 - lost)
    silent = summing(others, cohort - 1, 0.0, 1 - lost)

    def sending(own: float) -> Sums:
        among = summing(others, cohort - 1, own, 1 - lost)
        return mixed((1 - drawn, without), (drawn * lost, silent), (drawn * (1 - lost), among))

    return sending(1.0), sending(-1.0)


OF_A_ROUND = {"poisson": of_poisson, "uniform": of_uniform}
# Number of clients, number of clients per round, noise multiplier.
FEDERATIONS = [(10, 1, 1.0), (3, 1, 1.0), (20, 2, 1.0), (10, 5, 2.0)]
BOUNDED = [
    pytest.param(
        *federation,
        rounds,
        marks=() if (federation, rounds) == (FEDERATIONS[0], 3) else pytest.mark.slow,
    )
    for federation in FEDERATIONS
    for rounds in (1, 3)
]


@functools.cache  # the tests of one round and of three ask for the same ones
def losses_hidden(
    sampling: str,
    population: int,
    cohort: int,
    noise: float,
    law: Noise,
    lost: float,
    others: float,
) -> list[Any]:
    one, other = OF_A_ROUND[sampling](population, cohort, lost, others)
    return losses_of_a_round(seen(one, noise, law), seen(other, noise, law))


@pytest.mark.parametrize("law", [gaussian, pytest.param(skellam, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sampling", ["poisson", "uniform"])
@pytest.mark.parametrize(("population", "cohort", "noise", "rounds"), BOUNDED)
def test_sampling_hides_a_client(
    sampling: str, population: int, cohort: int, noise: float, rounds: int, law: Noise
) -> None:
    """With noise in every round, empty ones too, and whether or not clients drop out.

    For dp and for distributed_dp, whose noise follows a Skellam distribution.
    """
    claim = claimed(sampling, population, cohort, noise, rounds)

    def bound(lost: float, others: float) -> float:
        losses = losses_hidden(sampling, population, cohort, noise, law, lost, others)
        return epsilon_of(losses, rounds)

    largest = {lost: max(bound(lost, others) for others in (-1.0, 0.0, 1.0)) for lost in (0.0, 0.4)}
    assert largest[0.4] < largest[0.0] <= claim
    assert claim < 1.5 * largest[0.0]  # and it is not much more than needed


@pytest.mark.parametrize(
    ("population", "cohort", "least"), [(10, 1, 5.9), (3, 1, 7.4), (20, 2, 4.7)]
)
def test_without_noise_in_empty_rounds_the_bound_would_not_hold(
    population: int, cohort: int, least: float
) -> None:
    """The others send -1, so a round with one of them looks different from an empty round."""
    both = of_poisson(population, cohort, 0.0, -1.0)
    bins, share = [], cohort / population
    for (sums, weights), outsiders in zip(both, (population, population - 1)):
        nobody = (1 - share) ** outsiders
        weights = weights.copy()
        weights[0] -= nobody  # the first is nobody in both
        bins.append(np.append(seen((sums, weights), 1.0, gaussian), nobody))
        bins[-1][-2] -= nobody  # the rest of the probability, which is not in the last bin
    exact = given_away(bins[0], bins[1], 1)
    assert exact > least > 1.9 * claimed("poisson", population, cohort, 1.0, 1)


def of_gaussian(ratio: float) -> float:
    """Returns epsilon of noise of deviation 1 on a value that changes by `ratio`.

    Source: Balle and Wang, Improving the Gaussian Mechanism for Differential Privacy, ICML 2018,
    theorem 8.
    """

    def surplus(epsilon: float) -> float:
        out = ratio / 2 - epsilon / ratio
        return float(special.ndtr(out) - np.exp(special.log_ndtr(out - ratio) + epsilon) - DELTA)

    return optimize.bisect(surplus, 0.0, 500.0)  # type: ignore  # a float without full_output


@pytest.mark.parametrize("rounds", [1, 2, 3, 50])
def test_listed_clients_are_hidden_by_noise_alone(rounds: int) -> None:
    exact = of_gaussian(math.sqrt(rounds) / 2.0)
    assert exact <= claimed(LISTED, 10, 5, 2.0, rounds) < 1.1 * exact


def test_where_one_client_displaces_another_the_bound_would_not_hold() -> None:
    """Five of a block of ten are drawn: if one client is drawn, another is not."""
    one, other = (seen(case, 1.0, gaussian) for case in of_uniform(10, 5, 0.0, 1.0))
    assert given_away(one, other, 1) > 8.9 > 1.8 * claimed(LISTED, 10, 5, 1.0, 1)


def in_a_tree(turns: tuple[int, ...], rounds: int) -> float:
    """Returns how far a client's changes, of norm 1, can move the nodes that the sums need.

    The node that ends with round t covers as many rounds as the largest power of 2 in t.
    """
    ends = np.arange(1, rounds + 1)
    firsts = ends - (ends & -ends) + 1
    held = [sum(first <= turn <= end for turn in turns) for first, end in zip(firsts, ends)]
    return math.sqrt(sum(count**2 for count in held))


@pytest.mark.parametrize(
    ("rounds", "times"), [(1, 1), (3, 1), (5, 1), (7, 1), (8, 1), (5, 2), (8, 2), (3, 3), (8, 3)]
)
def test_a_tree_hides_whenever_a_client_takes_part(rounds: int, times: int) -> None:
    turns = itertools.combinations(range(1, rounds + 1), times)
    exact = of_gaussian(max(in_a_tree(own, rounds) for own in turns) / 4.0)
    aggregator = aggregators.parse(
        {"kind": "dp_ftrl", "noise_multiplier": 4.0, "clip": 1.0, "delta": DELTA}
    )
    for sampling in ({"kind": "cyclic", "blocks": 5}, LISTED, "uniform", "poisson"):
        participation = Participation(samplers.parse(sampling))
        private = guarantee(aggregator, participation, 10, 5, rounds, times)
        assert private
        assert exact <= private.epsilon
        if times == 1:
            assert private.epsilon < 1.25 * exact
