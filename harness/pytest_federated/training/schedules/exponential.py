"""A learning rate that falls by the same factor in every round."""

from __future__ import annotations

from pytest_federated.training.schedules.schedule import Share, schedules


@schedules("exponential")
def exponential(round_number: int, *, rate: Share) -> float:
    """Multiplies by `rate` after every round.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, appendix C ("ExpDecay" with
    a decay after each round), arXiv:2003.00295.
    """
    return rate ** (round_number - 1)
