"""The differential privacy of a training, computed by dp-accounting."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Optional

from pytest_federated.clients.dropout.dropout import dropouts
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import SamplerSpec, samplers
from pytest_federated.clients.stragglers.straggler import stragglers
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import kind
from pytest_federated.training.aggregators.aggregator import aggregators

ACCOUNTANT = "Rényi accountant of dp-accounting"


class Guarantee(NamedTuple):
    """(epsilon, delta)-differential privacy of a client; epsilon is infinite without noise."""

    epsilon: float
    delta: float


def guarantee(
    aggregator: Section,
    participation: Participation,
    population: int,
    cohort_size: int,
    rounds: int,
    most: Optional[int] = None,
) -> Optional[Guarantee]:
    """Returns the guarantee of all rounds, empty ones included; None where there is none.

    It covers the models that the rounds release; the metrics of training have no noise. In each
    round, the noise on the sum of clipped changes and the number by which it is divided do not
    depend on who took part. By the sampler's `accounting`:

    - `poisson`: of two neighboring federations, one has one client more (add or remove one); the
      probability of taking part is the same.
    - `uniform`, of a fixed number: neighbors are of the same size and differ in one client (replace
      one), which changes a sum of clipped changes by up to twice the norm; so the noise counts
      half.
    - `listed`: neighbors differ in whether a client's changes are its own or zero, as who else
      takes part stays the same; without amplification by sampling, as if it took part in each
      round.

    Tree noise: neighbors as with `listed`, and a client takes part in at most `most` rounds; in all
    of them when None. Dropout that does not depend on data does not weaken the guarantee: it holds
    for each outcome of who drops out, and so for all of them together.

    Source: Mironov, Rényi Differential Privacy, CSF 2017, arXiv:1702.07476; Mironov, Talwar,
    Zhang, Rényi Differential Privacy of the Sampled Gaussian Mechanism, 2019, arXiv:1908.10530;
    Wang, Balle, Kasiviswanathan, Subsampled Rényi Differential Privacy and Analytical Moments
    Accountant, AISTATS 2019, theorem 27, arXiv:1808.00087; tree noise: Kairouz, McMahan et al.,
    Practical and Private (Deep) Learning without Sampling or Shuffling, ICML 2021, appendix D,
    arXiv:2103.00039.
    """
    if no_epsilon(aggregator, participation):
        return None
    noise: float = aggregator.noise_multiplier  # type: ignore[attr-defined]  # see the trait
    delta: float = aggregator.delta  # type: ignore[attr-defined]  # see the trait
    if noise == 0:
        return Guarantee(float("inf"), delta)
    if _is_tree(aggregator):
        noise_per_client = noise / max(rounds if most is None else most, 1)
        return Guarantee(_epsilon_of_tree(noise_per_client, delta, rounds), delta)
    accounting = samplers.entry(participation.sampling).spec.accounting
    assert accounting is not None  # else `no_epsilon` has a reason
    return Guarantee(_epsilon(accounting, noise, delta, population, cohort_size, rounds), delta)


@lru_cache(maxsize=64)  # it takes some tenths of a second, and is the same for each seed
def _epsilon_of_tree(noise: float, delta: float, rounds: int) -> float:
    """Returns epsilon of tree noise on the changes of a client that takes part once."""
    import dp_accounting
    from dp_accounting import rdp

    relation = dp_accounting.NeighboringRelation.REPLACE_SPECIAL
    accountant = rdp.RdpAccountant(neighboring_relation=relation)
    accountant.compose(dp_accounting.SingleEpochTreeAggregationDpEvent(noise, rounds))
    return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=64)  # as above
def _epsilon(
    accounting: str, noise: float, delta: float, population: int, cohort_size: int, rounds: int
) -> float:
    """Returns epsilon of noise that is independent in each round."""
    import dp_accounting
    from dp_accounting import rdp

    relations = dp_accounting.NeighboringRelation
    relation, event = {
        "poisson": (
            relations.ADD_OR_REMOVE_ONE,
            dp_accounting.PoissonSampledDpEvent(
                cohort_size / population, dp_accounting.GaussianDpEvent(noise)
            ),
        ),
        "uniform": (
            relations.REPLACE_ONE,
            dp_accounting.SampledWithoutReplacementDpEvent(
                population, cohort_size, dp_accounting.GaussianDpEvent(noise / 2)
            ),
        ),
        "listed": (relations.REPLACE_SPECIAL, dp_accounting.GaussianDpEvent(noise)),
    }[accounting]
    accountant = rdp.RdpAccountant(neighboring_relation=relation)
    accountant.compose(event, rounds)
    return float(accountant.get_epsilon(delta))


def no_epsilon(aggregator: Section, participation: Participation) -> Optional[str]:
    """Returns why no epsilon can be given, and what would allow one; None where one can."""
    name = kind(aggregator)
    if not is_private(aggregator):
        private = [n for n in aggregators.names() if aggregators[n].spec.private is not None]
        return f"the aggregator {name} adds no noise; allowed: {', '.join(private)}"
    if _zeroes(aggregator):
        return "the bound of zeroing is estimated without noise; leave zeroing out"
    sampler = samplers.entry(participation.sampling)
    if not _is_accounted(sampler.spec, aggregator):
        accounted = [n for n in samplers.names() if _is_accounted(samplers[n].spec, aggregator)]
        return (
            f"with {sampler.name} sampling one client can change which others take part, and "
            f"{name} does not account for that; allowed: {', '.join(accounted)}"
        )
    if participation.dropout and not dropouts.entry(participation.dropout).spec.ignores_data:
        return (
            f"the dropout {kind(participation.dropout)} may depend on what clients hold; "
            "one registered with ignores_data=True does not"
        )
    if participation.stragglers:
        is_amplified = not _is_tree(aggregator) and sampler.spec.accounting != "listed"
        if is_amplified or not stragglers.entry(participation.stragglers).spec.ignores_data:
            return "one client can change which others straggle; leave clients.stragglers out"
    return None


def _is_accounted(sampler: SamplerSpec, aggregator: Section) -> bool:
    """Returns whether epsilon can be computed for cohorts of such a sampler."""
    return sampler.ignores_data if _is_tree(aggregator) else sampler.accounting is not None


def is_private(aggregator: Section) -> bool:
    """Returns whether an aggregator is one for differential privacy."""
    return aggregators.entry(aggregator).spec.private is not None


def adds_noise_without_clients(aggregator: Section) -> bool:
    """Returns whether a round without clients gets noise; else it would show that nobody came.

    Not with zeroing, whose bound cannot be estimated without clients, and which has no epsilon.
    """
    return is_private(aggregator) and not _zeroes(aggregator)


def _zeroes(aggregator: Section) -> bool:
    return getattr(aggregator, "zeroing", False)


def _is_tree(aggregator: Section) -> bool:
    """Returns whether epsilon depends on how often a client takes part, not on how it is drawn."""
    return aggregators.entry(aggregator).spec.by_participation


def is_bounded(sampling: Section) -> bool:
    """Returns whether a client takes part in a round at most once, so that noise can hide it."""
    repeats = samplers.entry(sampling).spec.repeats
    return not (repeats and getattr(sampling, "replacement", True))
