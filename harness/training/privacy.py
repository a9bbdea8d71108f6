"""The differential privacy that a training gives, by dp-accounting."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

from harness.registry import kind
from harness.settings import Section
from harness.systems.sampling import samplers
from harness.training.aggregators import aggregators

ACCOUNTANT = "Rényi accountant of dp-accounting"


class Guarantee(NamedTuple):
    """(epsilon, delta)-differential privacy of a client; epsilon is infinite without noise."""

    epsilon: float
    delta: float


def guarantee(
    aggregator: Section,
    sampling: Section,
    population: int,
    cohort_size: int,
    rounds: int,
    fewest: Optional[int] = None,
    most: Optional[int] = None,
) -> Optional[Guarantee]:
    """What the rounds together give; None for an aggregator that gives nothing.

    Where clients bring the noise, all rounds are reckoned with that of the round in which there
    were the `fewest`; of more than `cohort_size` no more than that many count.

    By the sampling that really took place:

    - `poisson`: two federations are neighbours when one has a client more (add or remove one).
    - `uniform`, of a fixed number: neighbours are of the same size, and one client is another
      (replace one), which changes a sum of clipped updates by up to twice the norm; so the noise
      counts half.
    - anything else: without amplification by sampling, as if every client took part in each
      round; add or remove one.

    Source: Mironov, Rényi Differential Privacy, CSF 2017, arXiv:1702.07476; Mironov, Talwar,
    Zhang, Rényi Differential Privacy of the Sampled Gaussian Mechanism, 2019, arXiv:1908.10530;
    Wang, Balle, Kasiviswanathan, Subsampled Rényi Differential Privacy and Analytical Moments
    Accountant, AISTATS 2019, theorem 27, arXiv:1808.00087; of a tree: Kairouz, McMahan et al.,
    Practical and Private (Deep) Learning without Sampling or Shuffling, ICML 2021, appendix D,
    arXiv:2103.00039.
    """
    if not is_private(aggregator) or getattr(aggregator, "zeroing", False):
        return None  # zeroing is by a bound that is estimated without noise
    noise: float = aggregator.noise_multiplier  # type: ignore[attr-defined]  # see the trait
    delta: float = aggregator.delta  # type: ignore[attr-defined]  # see the trait
    if aggregators.entry(aggregator).traits.get("shares_noise") and fewest is not None:
        noise *= math.sqrt(min(fewest / cohort_size, 1.0))
    if noise == 0:
        return Guarantee(float("inf"), delta)
    import dp_accounting
    from dp_accounting import rdp

    relations = dp_accounting.NeighboringRelation
    if aggregators.entry(aggregator).traits.get("by_participation"):
        own = noise / max(rounds if most is None else most, 1)
        accountant = rdp.RdpAccountant(neighboring_relation=relations.REPLACE_SPECIAL)
        accountant.compose(dp_accounting.SingleEpochTreeAggregationDpEvent(own, rounds))
        return Guarantee(float(accountant.get_epsilon(delta)), delta)
    relation, event = relations.ADD_OR_REMOVE_ONE, dp_accounting.GaussianDpEvent(noise)
    if kind(sampling) == "poisson":
        event = dp_accounting.PoissonSampledDpEvent(cohort_size / population, event)
    elif kind(sampling) == "uniform":
        relation = relations.REPLACE_ONE
        event = dp_accounting.SampledWithoutReplacementDpEvent(
            population, cohort_size, dp_accounting.GaussianDpEvent(noise / 2)
        )
    accountant = rdp.RdpAccountant(neighboring_relation=relation)
    accountant.compose(event, rounds)
    return Guarantee(float(accountant.get_epsilon(delta)), delta)


def is_private(aggregator: Section) -> bool:
    """Whether an aggregator is one for differential privacy."""
    return "private" in aggregators.entry(aggregator).traits


def is_bounded(sampling: Section) -> bool:
    """Whether a client takes part in a round once at most, so that noise can hide it."""
    repeats = samplers.entry(sampling).traits.get("repeats", False)
    return not (repeats and getattr(sampling, "replacement", True))
